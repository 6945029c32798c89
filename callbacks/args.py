"""Settings of the observers; the string under each field is its `--help`."""

from dataclasses import dataclass


@dataclass
class ObserverArgs:
    """What is measured and shown; none of it changes the training."""

    evaluate_every: int = 0
    """Rounds between evaluations on held-out private clips (local/*); 0 is once, at the end of the run."""
    evaluation_batches: int = 4
    """Held-out batches of each client, with noise that is always the same; 0 evaluates nothing."""
    samples_every: int = 0
    """Rounds between sample videos of a public person (released/*); 0 is once, at the end of the run."""
    sample_frames: int = 50
    """Length of a sample video in frames; 0 makes none."""
    sample_steps: int = 10
    """Denoising steps of a sample video."""
    public_root: str | None = None
    """Folder of public people, laid out like the clients': released/* shows the first one, and the loss of all."""

    def __post_init__(self) -> None:
        for name, least in (
            ("evaluate_every", 0),
            ("evaluation_batches", 0),
            ("samples_every", 0),
            ("sample_frames", 0),
            ("sample_steps", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"`--observers.{name}` must be at least {least}. Got {getattr(self, name)}.")
