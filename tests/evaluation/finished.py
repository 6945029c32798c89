"""A run that never trained, as `train.py` would have left it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from datamodules.demo.people import make_demo_people
from datamodules.demo.seeds import HELD_OUT_SEEDS
from lightning_modules.talking_head import TalkingHead
from tests.tiny_model import make_tiny_base

CARD = """# Privacy card

| what | value |
| --- | --- |
| epsilon, coins secret | 3.21 (PRV accountant) |
| delta | 1e-05 |
| clip norm S | 0.05 |
"""


def make_finished(folder: Path, people: int = 2) -> Path:
    """Write people with two clips each, and adapters that change nothing; return the folder of the run."""
    base, root = str(make_tiny_base(folder / "base")), str(folder / "people")
    shape = Path(base, "backbone.json")
    shape.write_text(json.dumps(json.loads(shape.read_text()) | {"knows_motion": True}))
    make_demo_people(root, HELD_OUT_SEEDS[:people], clips_per_person=2)
    module, run = TalkingHead(base), folder / "run"
    notes = {"global_adapter": "0", "round": 1}
    module.export_adapter("shared", run / "global", **notes)
    for seed in HELD_OUT_SEEDS[:people]:
        module.export_adapter("identity", run / "clients" / f"p{seed}" / "identity", **notes)
    settings = {
        "module": {"class_path": "lightning_modules.talking_head.TalkingHead", "init_args": {"base": base}},
        "data": {
            "class_path": "datamodules.clients.ClientDataModule",
            "init_args": {"root": root, "crop": "none"},
        },
    }
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    (run / "privacy_card.md").write_text(CARD)
    return run
