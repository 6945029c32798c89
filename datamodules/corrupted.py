"""Clients whose clips are wrong on purpose: what an aggregation must withstand."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor
from typing_extensions import override

from datamodules.clients import ClientDataModule
from datamodules.encoding_cache import Encoding

BACKWARDS = ("frames", "latents", "identity", "pose", "motion", "mouth")
"""What is seen of a clip; the rest is heard."""


class CorruptedClients(ClientDataModule):
    """Some clients' training clips are wrong in one way; everybody else's, and all clips that are scored, are right."""

    def __init__(self, victims: list[str], fault: Literal["sound", "face", "motion"], **settings: Any) -> None:
        """Check the settings; nothing is read before `setup`.

        Args:
            victims: Names of the clients whose clips are wrong.
            fault: `sound`: the next person is heard; `face`: the portrait is the next person's, so that the model is
                shown one face and asked for another; `motion`: the picture runs backwards in time under its sound.
            settings: Those of `ClientDataModule`.
        """
        super().__init__(**settings)
        self.victims, self.fault = victims, fault

    @override
    def setup(self, stage: str | None = None) -> None:
        """Read everyone's clips, once.

        Raises:
            FileNotFoundError: If `root` is no folder.
            ValueError: If nothing in it can be used, a victim is no client, or there is nobody else.
        """
        super().setup(stage)
        if not set(self.victims) <= set(self.clients) or len(self.clients) < 2:
            raise ValueError(
                f"`--data.victims` must be among two clients or more, here {', '.join(self.clients)}. "
                f"Got {', '.join(self.victims)}."
            )

    @override
    def encoded(self, client: str, split: str) -> list[Encoding]:
        encodings = super().encoded(client, split)
        if split != "train" or client not in self.victims:
            return encodings
        if self.fault == "motion":
            return [clip | {name: clip[name].flip(0) for name in BACKWARDS} for clip in encodings]
        if self.fault == "sound":
            heard = super().encoded(self._next(client), "train")
            return [clip | {"mel": _fit(heard[at % len(heard)], clip)} for at, clip in enumerate(encodings)]
        return encodings

    @override
    def portraits(self, client: str, split: str) -> list[Encoding] | None:
        if split != "train":
            return super().encoded(client, "train")  # as they are: what is scored has the right portrait
        return super().encoded(self._next(client), "train") if self.fault == "face" and client in self.victims else None

    def _next(self, client: str) -> str:
        return self.clients[(self.clients.index(client) + 1) % len(self.clients)]


def _fit(heard: Encoding, clip: Encoding) -> Tensor:
    """Return another clip's sound, from its start, as often as it takes to last as long as this clip."""
    frames = len(clip["mel"])
    times = -(-frames // len(heard["mel"]))
    return heard["mel"].repeat(times, 1, 1)[:frames]
