"""Clips of people speaking: the demo people, any user's recordings, and one client's batches."""
