"""What is checked and timed on a GPU; `gpu.py` is the command."""
