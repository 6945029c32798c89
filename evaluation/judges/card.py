"""The short README beside the judges: what they were trained on, and what each gets right on people it never saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evaluation.judges.accuracy import People
from evaluation.judges.scoring import Scores
from evaluation.judges.training import BATCHES
from evaluation.reporting.markdown import markdown_table

ASKED = {
    "top-1": "share of frames nearest to their own person among all these people, known by one recorded clip each",
    "eer": "equal error rate of telling from one frame whether it shows one of them",
    "in sync": "share of clips whose best offset of the sound, -15 to 15 frames, is within one frame of the true one",
    "auc": "area under the curve: own sound of five frames against sound 2 to 15 frames away",
    "mean": "mean distance of all points from where they truly are, pixels of 64",
}


def describe_people(folder: str, public: People, held_out: People) -> dict[str, Any]:
    """Return what a card says of the people that judges were trained on, in a folder, and scored with."""
    data = {"folder": folder, "people": len(public), "clips": sum(map(len, public.values()))}
    return data | {"held_out_people": len(held_out), "held_out_clips": sum(map(len, held_out.values()))}


def write_card(folder: Path, data: dict[str, Any], log: dict[str, Any], scores: Scores) -> None:
    """Write `README.md` for people, and `training.json` with the losses over steps and every figure."""
    text = [
        "# Judges",
        "",
        f"Networks that only score. Trained by `python -m evaluation.judges` on {data['people']} public demo people,",
        f"{data['clips']} clips of 64 px in `{data['folder']}`; nothing else was ever trained against them. They saw",
        "drawn people alone: what they say of real ones is unproven. Weights are float16 safetensors.",
        "",
        _training_table(log),
        "",
        f"On {data['held_out_people']} people that nothing was trained on, {data['held_out_clips']} clips:",
        "",
        _accuracy_table(scores),
        "",
        *(f"- {name}: {meaning}." for name, meaning in ASKED.items()),
        "- *through the VAE*: frames encoded and decoded by the base model's autoencoder.",
        "- *others' rooms*: the same people, drawn with another's background and clothes.",
        "",
    ]
    (folder / "README.md").write_text("\n".join(text))
    (folder / "training.json").write_text(json.dumps({"data": data, **log, "held_out": scores}, indent=1) + "\n")


def _training_table(log: dict[str, Any]) -> str:
    rows = [
        [name, f"{part['weights']:,}", f"{part['steps']} steps of {BATCHES[name]}", f"{part['seconds'] / 60:.0f} min"]
        for name, part in log.items()
    ]
    return markdown_table(["judge", "weights", "trained", "wall time"], rows)


def _accuracy_table(scores: Scores) -> str:
    """Return a row per judge and figure, and a column per kind of frames it was shown."""
    kinds = list(dict.fromkeys(kind for shown in scores.values() for kind in shown))
    rows = [
        [judge, figure, *(shown.get(kind, {}).get(figure, "") for kind in kinds)]
        for judge, shown in scores.items()
        for figure in next(iter(shown.values()))
    ]
    return markdown_table(["judge", "figure", *kinds], rows)
