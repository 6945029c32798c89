"""What a finished run left behind, read without loading a model."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from federation.args import ClippingArgs, FederationArgs, PrivacyArgs, SecurityArgs
from federation.checkpoints import RoundFolders
from federation.privacy.audit.terms import RoundTerms
from federation.privacy.card import CARD

CONFIG, DEVICES = "config.yaml", "devices"

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class RunFolder:
    """The folder of a private run that has ended."""

    path: Path
    federation: FederationArgs
    privacy: PrivacyArgs
    security: SecurityArgs
    clipping: ClippingArgs
    devices: Path | None
    """Folder of the clients' own ledgers; None where they are on devices elsewhere, or shared with other runs."""
    card: str
    rows: dict[str, str]
    """The card's table, by what each row is about."""
    newest: Path
    """The newest committed round."""
    server: dict[str, Any]
    """What the server noted in it."""
    dimension: int
    """D: coordinates of one client's vector."""

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Read a run.

        Raises:
            ValueError: If the folder holds no run that has ended, or one that claims no privacy.
        """
        path = Path(path)
        config = _read_config(path)
        privacy = _settings(PrivacyArgs, config, "privacy")
        if not privacy.enabled:
            raise ValueError(f"An audit needs a run that claims privacy. {path} was run with it off.")
        if not (path / CARD).is_file():
            raise ValueError(f"An audit needs a run that has ended. {path} has no {CARD}: resume it.")
        rounds = RoundFolders(path / "checkpoints").committed()
        if not rounds:
            raise ValueError(f"An audit needs a released round. {path} has none in checkpoints/.")
        is_elsewhere = config.get("transport") == "flower" or bool((config.get("owner") or {}).get("ledgers"))
        card = (path / CARD).read_text()
        clipping = _settings(ClippingArgs, config, "clipping")
        return cls(
            path=path,
            federation=_settings(FederationArgs, config, "federation"),
            privacy=privacy,
            security=_settings(SecurityArgs, config, "security"),
            clipping=clipping,
            devices=None if is_elsewhere else path / DEVICES,
            card=card,
            rows=_table(card),
            newest=rounds[-1],
            server=json.loads((rounds[-1] / "server.json").read_text()),
            dimension=_adapter_size(rounds[-1]) + 1 + clipping.adaptive,
        )

    @property
    def clients(self) -> int:
        """Return the number of enrolled clients that the card names."""
        return int(self.number("clients"))

    @property
    def noise_multiplier(self) -> float:
        """Return z as planned: that of the settings, or, where it was solved for, the card's."""
        return self.privacy.noise_multiplier if self.privacy.target_epsilon is None else self.number("noise multiplier")

    def number(self, row: str) -> float:
        """Return the number that the card's row with this beginning begins with.

        Raises:
            ValueError: If there is no such row, or no number in it.
        """
        found = [value for name, value in self.rows.items() if name.startswith(row)]
        if not found or not (match := re.match(r"[-+.\deE]+|inf", found[0])):
            raise ValueError(f"{self.path / CARD} must have a row `{row}` with a number. Got none: end the run again.")
        return float(match.group())

    @property
    def terms(self) -> RoundTerms:
        """Return the terms of its rounds, at the last clip norm."""
        return RoundTerms(
            clients=self.clients,
            clip_norm=float(self.server["clip_norm"]),
            dimension=self.dimension,
            noise_multiplier=self.noise_multiplier,
            sample_rate=self.federation.effective_sample_rate,
            delta=self.privacy.delta,
            colluding_share=self.security.colluding_share,
            dropout_share=self.security.dropout_share,
        )


def _read_config(path: Path) -> dict[str, Any]:
    import yaml

    try:
        config = yaml.safe_load((path / CONFIG).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise ValueError(f"An audit needs the folder of a run. Got {path}, whose {CONFIG} {reason}.") from error
    if not isinstance(config, dict):
        raise ValueError(f"An audit needs the folder of a run. Got {path}, whose {CONFIG} holds no settings.")
    return config


def _settings(kind: type[Settings], config: dict[str, Any], section: str) -> Settings:
    """Return a section of the config; what it leaves out has its default."""
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in (config.get(section) or {}).items() if name in known})


def _table(card: str) -> dict[str, str]:
    rows = (line.strip("| ").split(" | ", 1) for line in card.splitlines() if line.startswith("|"))
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}


def _adapter_size(folder: Path) -> int:
    from safetensors import safe_open

    try:
        with safe_open(folder / "server.safetensors", framework="numpy") as file:
            return int(file.get_slice("global_adapter").get_shape()[0])
    except Exception as error:  # safetensors has errors of its own for each way a file can be broken
        raise ValueError(f"{folder / 'server.safetensors'} cannot be read: {error}.") from error
