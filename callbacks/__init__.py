"""When things happen in a round: the steps of the privacy pipeline, and the observers of a run."""
