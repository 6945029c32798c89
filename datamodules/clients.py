"""The clients of a federation: one person's clips are one client's data, and they never mix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.clips import FPS, Clip
from datamodules.encoding_cache import Encoding, EncodingCache, with_inputs
from datamodules.reading.cropping import Crop
from datamodules.reading.frames import load_people
from datamodules.reading.splitting import SPLITS, split_clips
from datamodules.windows import WindowedClips, draw_window

NAMED = 3
"""Clips that an error names at most."""


class ClientDataModule(LightningDataModule):
    """Reads `root/<person>/<clip>` and hands out one client's batches at a time."""

    def __init__(
        self,
        root: str = "data",
        size: int = 64,
        crop: Crop = "auto",
        window: int = 8,
        batch_size: int = 2,
        cache_dir: str | None = None,
        people: list[str] | None = None,
    ) -> None:
        """Check the settings; nothing is read before `setup`.

        Args:
            root: Folder with one folder of recordings per person (mp4, mov, mkv, webm, avi and others).
            size: Height and width of the frames, in pixels.
            crop: `auto` takes the square around the face, else the centre square; `face` leaves clips without a face
                out; `none` takes the centre square.
            window: Frames of an example.
            batch_size: Examples of a batch.
            cache_dir: Where clips, and what the model's frozen parts make of them, are kept from run to run; none
                keeps them in memory only, and every device reads everyone's recordings.
            people: Names of those who take part; none is everyone in `root`.
        """
        super().__init__()
        if not 1 <= window < FPS:
            raise ValueError(
                f"`--data.window` must be 1 to {FPS - 1} frames: a clip may last one second. Got {window}."
            )
        if size < 16:
            raise ValueError(f"`--data.size` must be at least 16 pixels. Got {size}.")
        if batch_size < 1:
            raise ValueError(f"`--data.batch_size` must be at least 1. Got {batch_size}.")
        self.root = Path(root)
        self.size = size
        self.crop = crop
        self.window = window
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self.people = people
        self._people: dict[str, dict[str, list[Clip]]] = {}
        self._encode: Callable[[Clip], Encoding] | None = None
        self._encoded: dict[tuple[str, str], list[Encoding]] = {}

    def setup(self, stage: str | None = None) -> None:
        """Read everyone's clips, once.

        Raises:
            FileNotFoundError: If `root` is no folder.
            ValueError: If nothing in it can be used, or someone of `people` is not in it.
        """
        if not self._people:
            people = load_people(self.root, self.size, self.crop, self.people, self.cache_dir)
            self._people = {person: split_clips(person, clips) for person, clips in sorted(people.items())}

    def assign(self, kept: Mapping[str, Mapping[str, str]]) -> None:
        """Give clips other splits than their places would.

        Args:
            kept: By person and clip's `source`. Clips of these people that are not named are trained on, and so are
                those of which a copy was; other people's stay where they are.

        Raises:
            ValueError: If somebody has nothing left to train on.
        """
        for person in sorted(kept.keys() & self._people.keys()):
            clips, known = [clip for own in self._people[person].values() for clip in own], kept[person]
            chosen = {split: [clip for clip in clips if _split_of(clip, known) == split] for split in SPLITS}
            if not chosen["train"]:
                held = ", ".join(clip.name for clip in clips[:NAMED])
                raise ValueError(
                    f"{person} must have a clip that this run has not held out. Got {held} alone. Put the others back, "
                    "or start anew in another `--out_dir`."
                )
            self._people[person] = chosen

    @property
    def clients(self) -> list[str]:
        """Return the names of the clients, sorted."""
        if not self._people:
            raise RuntimeError("`ClientDataModule.setup()` must be called before clients are asked for.")
        return list(self._people)

    @property
    def splits_by_person(self) -> Mapping[str, Mapping[str, Sequence[Clip]]]:
        """Return everybody's clips by split, whoever is a client."""
        return self._people

    def splits(self, client: str) -> dict[str, list[Clip]]:
        """Return a client's clips for `train`, `val` and `test`; the last two may be empty."""
        if client not in self._people:
            raise ValueError(f"A client must be one of {', '.join(self.clients)}. Got {client!r}.")
        return self._people[client]

    def num_examples(self, client: str) -> int:
        """Return the number of training frames of a client."""
        return sum(len(clip.frames) for clip in self.splits(client)["train"])

    def set_encoder(self, encode: Callable[[Clip], Encoding], fingerprint: str) -> None:
        """Encode frames with `encode` from now on; `fingerprint` tells its weights from others' in the cache."""
        cached = EncodingCache(self.cache_dir, encode, fingerprint) if self.cache_dir else encode
        self._encode = with_inputs(cached)
        self._encoded.clear()

    def encoded(self, client: str, split: str) -> list[Encoding]:
        """Return the encodings of a client's clips, computed at the first call."""
        if split not in SPLITS:
            raise ValueError(f"A split must be one of {', '.join(SPLITS)}. Got {split!r}.")
        if self._encode is None:
            raise RuntimeError("`ClientDataModule.set_encoder()` must be called before clips are encoded.")
        if (client, split) not in self._encoded:
            self._encoded[client, split] = [self._encode(clip) for clip in self.splits(client)[split]]
        return self._encoded[client, split]

    def client_dataloader(
        self, client: str, *, steps: int, seed: int, split: str = "train"
    ) -> DataLoader[dict[str, Tensor]]:
        """Return exactly `steps` batches of one client, determined by the seed alone.

        Reference frames always come from the clips that are trained on, and never from the window.

        Raises:
            ValueError: If the client has no clip in this split.
        """
        generator = torch.Generator().manual_seed(seed)
        examples = self.draw_examples(client, split, steps * self.batch_size, generator)
        # Its own generator, since a DataLoader otherwise draws a seed from torch's, and training would depend on it.
        return DataLoader(examples, batch_size=self.batch_size, generator=torch.Generator())

    def draw_examples(
        self, client: str, split: str, count: int, generator: torch.Generator
    ) -> Dataset[dict[str, Tensor]]:
        """Return `count` examples of one client, as `WindowedClips` cuts them; see `client_dataloader`."""
        encodings = self.encoded(client, split)
        portraits = self.portraits(client, split)
        if not encodings:
            raise ValueError(f"{client} has no {split} clip: two clips are needed for a test, three for all splits.")
        lengths = _lengths(encodings)
        references = None if portraits is None else _lengths(portraits)
        windows = [draw_window(lengths, self.window, generator, references) for _ in range(count)]
        return WindowedClips(encodings, portraits or encodings, windows, self.window)

    def portraits(self, client: str, split: str) -> list[Encoding] | None:
        """Return the encodings that reference frames come from; None: the clips themselves, outside the window."""
        return None if split == "train" else self.encoded(client, "train")


def _split_of(clip: Clip, known: Mapping[str, str]) -> str:
    """Return the split of a clip: what any of its copies was trained on is never held out."""
    found = {known[source] for source in clip.sources if source in known}
    return next((split for split in SPLITS if split in found), "train")


def _lengths(encodings: Sequence[Encoding]) -> list[int]:
    return [len(encoding["latents"]) for encoding in encodings]
