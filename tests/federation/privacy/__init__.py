"""Tests of `federation.privacy`: each property is shown on the true code, and shown to fail on a broken one."""
