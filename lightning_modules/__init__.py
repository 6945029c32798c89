"""What is trained: the backbone, its conditions, the adapters, the losses and the sampler."""
