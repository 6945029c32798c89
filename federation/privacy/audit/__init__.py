"""Tries to break what a run promises, and first shows that it would notice if it could."""
