"""What a config says, as `train.py` would read it: all of it, or only what server and devices must have alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import yaml
from jsonargparse import ArgumentParser, Namespace

from commandline import Seed, demand_named_settings
from federation.agreed_settings import AgreedSettings
from train import make_parser


def read_settings(config: str | Path, *overrides: str) -> Namespace:
    """Return the arguments of `train.train`, with the module and the data made from the seed of the settings.

    Args:
        config: Settings as YAML.
        overrides: Further flags of `train.py`.
    """
    from federation.seeding import seed_training

    parser = make_parser([])
    chosen = parser.parse_args([f"--config={config}", *overrides])
    demand_named_settings(parser, chosen)
    seed_training(chosen.seed)
    return parser.instantiate(chosen)


def read_agreed(config: str | Path) -> tuple[AgreedSettings, int]:
    """Return what server and devices must have alike, and the seed.

    Neither module nor data are made, nor are their classes imported: a device's front has no need of them.

    Raises:
        ArgumentError: If there are no such settings, or not of such values.
        ValueError: If the file holds no settings.
    """
    parser = ArgumentParser(exit_on_error=False)
    for name, arguments in get_type_hints(AgreedSettings).items():
        parser.add_class_arguments(arguments, name)
    parser.add_argument("--seed", type=Seed, default=0)
    written = _read_yaml(Path(config))
    agreed = {name: value for name, value in written.items() if name in {*AgreedSettings._fields, "seed"}}
    chosen = parser.parse_object(agreed)
    demand_named_settings(parser, chosen)
    made = parser.instantiate(chosen)
    return AgreedSettings.of(made), made.seed


def _read_yaml(config: Path) -> dict[str, Any]:
    try:
        written = yaml.safe_load(config.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{config} must be YAML. Got: {error}.") from error
    if not isinstance(written, dict):
        raise ValueError(f"{config} must hold settings by name. Got {type(written).__name__}.")
    return written
