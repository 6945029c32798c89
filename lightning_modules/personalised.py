"""The base model with the adapters that a run left, ready to speak."""

from __future__ import annotations

import json
from pathlib import Path

from lightning_modules.adapters import IDENTITY, MOVER, SHARED, attach_adapter
from lightning_modules.backbone import Backbone
from lightning_modules.base_folder import load_base
from lightning_modules.model_folder import BASE_FILE, fingerprint

CONFIG = "adapter_config.json"


def load_personalised(base: str | Path, adapter: str | Path | None = None) -> Backbone:
    """Load the base model and merge the adapters of a folder into it.

    Args:
        base: Folder of the base model. A run that trained the whole denoiser left a base of its own in `global`, which
            takes its place.
        adapter: A run's `global`, or a client's folder with `identity`, which takes `global` along; None is the base
            model as it is.

    Raises:
        FileNotFoundError: If the base model or an adapter is missing.
        ValueError: If the base model or an adapter is broken, or they do not belong together.
    """
    folders = {} if adapter is None else find_adapters(Path(adapter))
    if SHARED in folders and (folders[SHARED] / BASE_FILE).is_file():
        base = folders.pop(SHARED)
    backbone = load_base(base).requires_grad_(False)
    if folders:
        attach_all(backbone, folders, base)
    return backbone


def find_adapters(folder: Path) -> dict[str, Path]:
    """Return the folder of each adapter that acts when a user names `folder`; `global` may hold a whole base instead.

    Raises:
        FileNotFoundError: If one is missing.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"`--adapter` must be a folder such as runs/demo/global. There is no {folder}.")
    if folder.name == IDENTITY and (folder / CONFIG).is_file():
        folder = folder.resolve().parent
    if is_global(folder):
        return {SHARED: folder}
    if not (folder / IDENTITY / CONFIG).is_file():
        raise FileNotFoundError(f"No adapter in {folder}.{_suggest(folder)}")
    run = folder.resolve().parent.parent
    if not is_global(run / "global"):
        raise FileNotFoundError(
            f"{folder} needs the global adapter it was trained with. There is none in {run}/global."
        )
    return {SHARED: run / "global", IDENTITY: folder / IDENTITY}


def is_global(folder: Path) -> bool:
    """Whether a folder holds what a federation trained: a shared adapter or a base model."""
    return (folder / CONFIG).is_file() or (folder / BASE_FILE).is_file()


def attach_all(backbone: Backbone, folders: dict[str, Path], base: str | Path) -> None:
    """Merge adapters, which act together, into the denoiser's weights: the same output in less time.

    Raises:
        FileNotFoundError: If an adapter lacks its part on the mover.
        ValueError: If an adapter is broken, or belongs to another base model or to another global adapter.
    """
    notes = {}
    base_hash = fingerprint(base)
    for name, folder in folders.items():
        try:
            notes[name] = attach_adapter(backbone.unet, name, folder)
            _demand_base(folder, notes[name].get("base"), base, base_hash)
            if backbone.mover is not None:
                attach_adapter(backbone.mover, name, folder / MOVER)
        except json.JSONDecodeError as error:
            raise ValueError(f"The adapter in {folder} is broken: {error}.") from error
    if len({note.get("global_adapter") for note in notes.values()}) > 1:
        rounds = " and ".join(f"{name} of round {note.get('round')}" for name, note in notes.items())
        raise ValueError(f"The adapters in {', '.join(map(str, folders.values()))} do not belong together: {rounds}.")
    for model in filter(None, [backbone.unet, backbone.mover]):
        model.set_adapter(list(folders))
        model.fuse_lora()
        model.unload_lora()
    backbone.requires_grad_(False).eval()


def _demand_base(folder: Path, got: object, base: str | Path, expected: str) -> None:
    """Raise ValueError unless the adapter in a folder belongs to this base model."""
    if got != expected:
        raise ValueError(
            f"The adapter in {folder} belongs to base model {str(got)[:12]}, and {base} is {expected[:12]}. "
            "Pass `--base` with the one it was trained on."
        )


def _suggest(folder: Path) -> str:
    """Name what there is to choose in the folder of a run."""
    there = sorted(path.parent for path in folder.glob("clients/*/identity") if path.is_dir())
    there = [*filter(Path.is_dir, [folder / "global"]), *there]
    return f" Choose one of: {', '.join(map(str, there))}." if there else ""
