"""What a device's owner allows, in a local file that no server can write."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from federation.args import Sampling
from federation.privacy.accountant import demand_delta


class OwnerRefusalError(ValueError):
    """The device's owner has not allowed what a server asks for; the client sends nothing."""


@dataclass(frozen=True)
class SessionTerms:
    """What a session asks of a device: the signed settings its owner may care about."""

    sample_rate: float
    rounds: int
    honest: int
    """n_min: clients whose noise the guarantee counts on; without privacy there is none to count."""
    sampling: Sampling = "hidden"
    key_source: Literal["os", "seeded"] = "os"
    private: bool = True


@dataclass(frozen=True)
class OwnerLimits:
    """The owner's own limits; a session that asks for more is refused before anything is sent.

    The defaults refuse what protects nobody (seeded keys, privacy off) and what gives away more than it need (visible
    sampling).
    """

    epsilon: float = math.inf
    """Total over all sessions of one data set; see `DeviceLedger`."""
    delta: float = 1e-5
    """At which the total is computed."""
    sample_rate: float = 1.0
    """Largest q."""
    rounds: int = 10**6
    """Largest number of rounds of one session."""
    honest: int = 1
    """Smallest n_min."""
    seeded_keys: bool = False
    """Take part where keys follow from a public seed."""
    privacy_off: bool = False
    """Take part without clip, noise and masks."""
    visible_sampling: bool = False
    """Take part where everybody sees who does."""

    def __post_init__(self) -> None:
        for name, least in (("epsilon", 0), ("delta", 0), ("sample_rate", 0), ("rounds", 1), ("honest", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not (isinstance(value, int | float) and value >= least):
                raise ValueError(f"The owner's `{name}` must be a number of at least {least}. Got {value}.")
        demand_delta(self.delta)
        for name in ("seeded_keys", "privacy_off", "visible_sampling"):
            if not isinstance(value := getattr(self, name), bool):
                raise ValueError(f"The owner's `{name}` must be true or false. Got {value!r}.")

    @classmethod
    def read(cls, path: str | Path) -> OwnerLimits:
        """Return the limits in a JSON file of this class's fields; a field that is left out has its default.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is no JSON object, or holds another field.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"The owner's file of limits must be there. Got {path}, which is none.")
        try:
            values = dict(json.loads(Path(path).read_text()))
        except (TypeError, ValueError) as error:
            raise ValueError(f"The owner's file {path} must be a JSON object. Got: {error}.") from error
        known = [field.name for field in fields(cls)]
        if unknown := sorted(values.keys() - set(known)):
            raise ValueError(f"The owner's file {path} must hold only {', '.join(known)}. Got {', '.join(unknown)}.")
        return cls(**values)

    def demand(self, terms: SessionTerms) -> None:
        """Raise OwnerRefusalError, naming every term that goes beyond the limits."""
        excess = [
            f"{name} {getattr(terms, name):g} (allowed: {limit:g})"
            for name, limit, is_beyond in (
                ("sample_rate", self.sample_rate, terms.sample_rate > self.sample_rate),
                ("rounds", self.rounds, terms.rounds > self.rounds),
                ("honest", self.honest, terms.private and terms.honest < self.honest),
            )
            if is_beyond
        ]
        excess += ["seeded keys"] if terms.key_source == "seeded" and not self.seeded_keys else []
        excess += ["privacy off"] if not terms.private and not self.privacy_off else []
        excess += ["visible sampling"] if terms.sampling == "visible" and not self.visible_sampling else []
        if excess:
            raise OwnerRefusalError(
                f"The session must stay within what the owner allows. Got {', '.join(excess)}. The owner's file can "
                "allow more."
            )
