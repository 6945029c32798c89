"""What frozen parts make of a clip is computed once, and kept on disk with the client whose clip it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from datamodules.audio import log_mel_windows
from datamodules.clips import Clip
from datamodules.reading.clip_files import mapping
from whole_files import whole_file

Encoding = dict[str, Tensor]
"""A clip's frames, what the frozen parts of the model make of them, and the features of its sound."""


def with_inputs(encode: Callable[[Clip], Encoding]) -> Callable[[Clip], Encoding]:
    """Return an encoder that adds the `frames` themselves, uint8, and `mel`, the sound, unless the model hears it."""

    def encode_whole(clip: Clip) -> Encoding:
        encoding = encode(clip) | {"frames": clip.frames}
        if "mel" not in encoding:
            encoding["mel"] = log_mel_windows(clip.waveform, len(clip.frames))
        return encoding

    return encode_whole


class EncodingCache:
    """Encodes each clip once, and keeps the result as safetensors, named by what it was computed from."""

    def __init__(self, folder: str | Path, encode: Callable[[Clip], Encoding], fingerprint: str) -> None:
        """Use `folder/<person>/`.

        Args:
            folder: Where encodings are kept; private, since a face can be decoded from them.
            encode: The frozen parts.
            fingerprint: Tells one `encode` from another, e.g. the hash of its weights.
        """
        self.folder = Path(folder)
        self.encode = encode
        self.fingerprint = fingerprint

    def __call__(self, clip: Clip) -> Encoding:
        """Return the clip's encoding from the folder, mapped into memory: what is not in use takes none.

        Raises:
            OSError: If the folder cannot be written to, or the file is broken.
        """
        path = self.folder / clip.person / f"{content_hash(clip, self.fingerprint)}.safetensors"
        try:
            if not path.is_file():
                self._keep(clip, path)
            with mapping(path):
                return load_file(path)
        except SafetensorError as error:
            raise OSError(f"An encoded clip cannot be kept in {path}: {error}. If it is there, delete it.") from error

    def _keep(self, clip: Clip, path: Path) -> None:
        encoding = {name: tensor.detach().cpu().contiguous() for name, tensor in self.encode(clip).items()}
        with whole_file(path) as partial:  # several devices may write the same clip
            save_file(encoding, partial)


def content_hash(clip: Clip, fingerprint: str) -> str:
    """Return a name for what is encoded: the decoded content, so that the file, crop and size are all in it."""
    digest = hashlib.sha256(fingerprint.encode())
    for tensor in (clip.frames, clip.waveform, clip.motion, clip.mouth):
        shape, content = ((), b"") if tensor is None else (tuple(tensor.shape), tensor.contiguous().numpy().tobytes())
        digest.update(f"|{shape}|".encode())
        digest.update(content)
    return digest.hexdigest()


def hash_clips(clips: Iterable[Clip]) -> str:
    """Return a name for all of the clips' contents, in their order."""
    return hashlib.sha256("".join(content_hash(clip, "") for clip in clips).encode()).hexdigest()
