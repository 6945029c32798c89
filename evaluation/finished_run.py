"""A run as `train.py` left it: its base model, its clients' clips, its adapters, and what it promised."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml
from jsonargparse import ArgumentParser

from datamodules.clients import ClientDataModule
from datamodules.kept_splits import read_splits
from evaluation.scores import read_scores
from lightning_modules.model_folder import BASE_FILE

PROMISES = ("| unit |", "| epsilon,", "| delta |")
"""How the lines of a privacy card begin that a report repeats."""


@dataclass(frozen=True)
class FinishedRun:
    """What is evaluated."""

    folder: Path
    base: Path
    """The base model that the run started from."""
    data: ClientDataModule
    """The clients' clips, read."""

    @property
    def shared(self) -> Path:
        """Return the folder of what the federation trained."""
        return self.folder / "global"

    def own(self, client: str) -> Path | None:
        """Return the folder of a client's own adapter, None if the run trained none."""
        folder = self.folder / "clients" / client
        return folder if (folder / "identity").is_dir() else None

    def promises(self) -> list[str]:
        """Return the rows of the run's privacy card that say what it cost; empty where it has no card."""
        card = self.folder / "privacy_card.md"
        lines = card.read_text().splitlines() if card.is_file() else []
        return [line for line in lines if line.startswith(PROMISES)]


def open_finished(folder: str | Path, root: str | None = None) -> FinishedRun:
    """Read a run's settings and its clients' clips.

    Args:
        folder: `--out_dir` of the run.
        root: Where the clients' recordings are, if they have moved since.

    Raises:
        FileNotFoundError: If there is no run, or its base model or recordings are gone.
        ValueError: If the run's settings, splits or data are of another kind.
    """
    folder = Path(folder)
    if not (folder / "config.yaml").is_file():
        raise FileNotFoundError(f"`--run` must be the folder of a run. Got {folder}, which holds no config.yaml.")
    try:
        settings = yaml.safe_load((folder / "config.yaml").read_text())
        base = Path(settings["module"]["init_args"].get("base", "assets/base"))
        recordings = {"class_path": settings["data"]["class_path"], "init_args": dict(settings["data"]["init_args"])}
    except (AttributeError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ValueError(
            f"{folder}/config.yaml must hold the settings of a run. It cannot be read: {error}."
        ) from error
    if not (base / BASE_FILE).is_file():
        raise FileNotFoundError(f"The run was trained on the base model {base}, which is gone. Train or copy it again.")
    if not (folder / "global").is_dir():
        raise FileNotFoundError(f"`--run` must have ended. Got {folder}, which holds no global adapter yet.")
    data = _build_data(recordings, root)
    data.setup()
    data.assign(read_splits(folder))
    return FinishedRun(folder, base, data)


def demand_own_folder(out: Path, run: Path) -> None:
    """Refuse a folder whose metrics and TensorBoard events are not an evaluation's: an evaluation replaces both.

    Raises:
        ValueError: If `out` is a file, the run or its `local/`, or holds the metrics or events of a run.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"`--out` must be a folder. Got {out}, which is a file.")
    is_the_runs = out.resolve() in (run.resolve(), run.resolve() / "local")
    if is_the_runs or (_has_results(out) and not _has_scores(out)):
        raise ValueError(
            f"`--out` must be a new folder, or one of an earlier evaluation. Got {out}, where a run keeps its metrics; "
            f"they would be lost. Choose e.g. {run / 'local' / 'evaluation'}."
        )


def _has_results(folder: Path) -> bool:
    return (folder / "metrics.csv").exists() or any(folder.glob("events.out.tfevents.*"))


def _has_scores(folder: Path) -> bool:
    """Return whether an evaluation wrote the folder's `metrics.csv`: a run's has other columns."""
    try:
        return bool(read_scores(folder / "metrics.csv"))
    except (OSError, ValueError):
        return False


def _build_data(settings: dict, root: str | None) -> ClientDataModule:
    if root is not None:
        settings["init_args"]["root"] = root
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(ClientDataModule, "data")
    return parser.instantiate(parser.parse_object({"data": settings})).data
