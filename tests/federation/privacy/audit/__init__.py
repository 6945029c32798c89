"""Tests of the audit: each check passes on the true system and fails on broken ones."""
