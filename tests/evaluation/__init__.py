"""Tests of the metrics: each must know the right answer where it is known, and notice a fault put in on purpose."""
