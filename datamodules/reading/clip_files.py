"""A clip as a file that is mapped into memory: processes share it, and what is not in use needs no memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from datamodules.clips import Clip


def save_clip(clip: Clip, path: Path) -> None:
    """Write a clip, less its person and its recording's path, which may be called something else next time."""
    tensors = {"frames": clip.frames, "waveform": clip.waveform, "motion": clip.motion, "mouth": clip.mouth}
    known = {name: tensor.contiguous() for name, tensor in tensors.items() if tensor is not None}
    save_file(known, path, metadata={"name": clip.name, "start": repr(clip.start)})


@contextmanager
def mapping(path: Path) -> Iterator[None]:
    """Have what maps a file raise OSError where this process has mapped as many as the machine allows."""
    try:
        yield
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        raise OSError(
            f"{path} cannot be mapped into memory: {error}. A process may hold so many files: raise it by `sysctl -w "
            "vm.max_map_count=1000000`, or train without `--data.cache_dir`."
        ) from error


def load_clip(path: Path, person: str, recording: Path) -> Clip:
    """Return the clip of a file by `save_clip`.

    Raises:
        SafetensorError: If the file is broken.
        OSError: If no more files can be mapped.
    """
    with mapping(path), safe_open(path, "pt") as file:
        said = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    return Clip(
        person=person,
        name=said["name"],
        frames=tensors["frames"],
        waveform=tensors["waveform"],
        motion=tensors.get("motion"),
        mouth=tensors.get("mouth"),
        path=recording,
        start=float(said["start"]),
    )
