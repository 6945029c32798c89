"""What a config says, as `train.py` would read it: all of it, or only what server and devices must have alike."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from commandline import demand_named_settings
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
    chosen = _parse(parser, config, *overrides)
    seed_training(chosen.seed)
    return parser.instantiate(chosen)


def read_agreed(config: str | Path) -> tuple[AgreedSettings, int]:
    """Return what server and devices must have alike, and the seed.

    Neither module nor data are made, nor are their classes imported: a device's front has no need of them. All else is
    read by the parser that `read_settings` has: a front that took a value otherwise would make other noise than is
    counted.

    Raises:
        ArgumentError: If there are no such settings, or not of such values.
        ValueError: If a group of settings is one value.
    """
    parser = make_parser([], reads_classes=False)
    made = parser.instantiate(_parse(parser, config))
    return AgreedSettings.of(made), made.seed


def _parse(parser: ArgumentParser, config: str | Path, *overrides: str) -> Namespace:
    chosen = parser.parse_args([f"--config={config}", *overrides])
    demand_named_settings(parser, chosen)
    return chosen
