"""Rounds across devices that come, go and fail, over whatever carries their bytes."""
