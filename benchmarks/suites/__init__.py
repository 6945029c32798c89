"""What a suite of trainings is made of; `suite.py` is the command."""
