"""Networks that only score: none of them is ever part of a training loss."""
