"""One job for several simulation engines; what is not `ours.py` needs torch and its engine alone."""
