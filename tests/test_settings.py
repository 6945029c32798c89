"""The settings of a config, with and without module and data."""

from __future__ import annotations

from argparse import ArgumentError
from pathlib import Path

import pytest
import torch

from federation.agreed_settings import AgreedSettings
from settings import read_agreed, read_settings
from tests.test_configs import CONFIGS
from tests.tiny_command import CONFIG
from train import make_parser


def read_by_train(config: Path) -> tuple[AgreedSettings, int]:
    """Return what is agreed on as `train.py` itself parses it."""
    parser = make_parser([])
    chosen = parser.parse_args(["--config", str(config)])
    for part in ("module", "data"):
        chosen.pop(part)
    return AgreedSettings.of(parser.instantiate(chosen)), chosen.seed


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_what_is_agreed_on_is_what_train_reads(config):
    assert read_agreed(config) == read_by_train(config)


def test_what_is_agreed_on_is_read_as_yaml_writes_it(tmp_path):
    """YAML reads 1e-5 as a word, where the command line reads a number."""
    config = tmp_path / "written.yaml"
    config.write_text("privacy: {delta: 1e-5, clip_norm: 2}\nclipping: {adaptive: true}\nseed: 3\nprecision: 32-true\n")
    agreed, seed = read_agreed(config)
    assert (agreed, seed) == read_by_train(config)
    assert (agreed.privacy.delta, agreed.privacy.clip_norm, agreed.clipping.adaptive, seed) == (1e-5, 2.0, True, 3)


READINGS = {
    "privacy.noise_multiplier: 4.5\nfederation.sample_rate: 0.1": (4.5, 0.1),
    "privacy: {noise_multiplier: 2}\nprivacy.noise_multiplier: 9": (9.0, 0.5),
    "privacy: private.yaml": (7.0, 0.5),
    "module.identity_rank: 2\ndata.root: people\nprivacy: {noise_multiplier: 3}": (3.0, 0.5),
}


@pytest.mark.parametrize("written", READINGS)
def test_a_device_makes_noise_by_what_train_reads(tmp_path, written):
    """The fault: a reading of the front's own, which passed over names that it did not know."""
    (tmp_path / "private.yaml").write_text("noise_multiplier: 7")
    config = tmp_path / "settings.yaml"
    config.write_text(written)
    agreed, seed = read_agreed(config)
    assert (agreed, seed) == read_by_train(config)
    assert (agreed.privacy.noise_multiplier, agreed.federation.sample_rate) == READINGS[written]


WRONG = ["privacy: {clip: 1}", "modul: 1", "privacy: 3", "seed: -1", "seed: [1]", "- privacy", "privacy: {", ""]


@pytest.mark.parametrize("written", WRONG)
def test_settings_that_do_not_fit_are_refused(tmp_path, written):
    config = tmp_path / "wrong.yaml"
    config.write_text(written)
    with pytest.raises((ArgumentError, ValueError)):
        read_agreed(config)


def test_module_and_data_are_made_from_the_seed_and_flags_come_last(tmp_path):
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG)
    made = [read_settings(config, "--seed", seed, "--federation.rounds=7") for seed in ("3", "3", "4")]
    assert {settings.federation.rounds for settings in made} == {7}
    first, same, other = (
        torch.cat([tensor.flatten() for tensor in settings.module.state_dict().values()]) for settings in made
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
