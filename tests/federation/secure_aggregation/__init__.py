"""Tests of `federation.secure_aggregation`."""
