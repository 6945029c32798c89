"""One honest evaluation: what is generated, how it is scored, and how the scores are told."""
