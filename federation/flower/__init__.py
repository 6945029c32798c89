"""Flower as a carrier of bytes: what joins its grid to rounds that know nothing of it."""
