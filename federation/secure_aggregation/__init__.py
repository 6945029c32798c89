"""Masks that cancel in the sum, so that nobody sees a single client's vector."""
