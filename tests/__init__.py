"""Tests mirror the tree; `tests.tiny` has a module, data and pipeline small enough for every test."""
