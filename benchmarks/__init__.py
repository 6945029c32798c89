"""Commands that measure what the project claims; each prints a table and leaves its figures in `results/`."""
