"""A run without privacy: it says so, loudly, wherever it says anything."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import override

from callbacks.kept_terms import keep_terms
from callbacks.shouting import shout
from federation.hooks import FederationCallback
from federation.privacy.card import CARD, no_privacy_card
from federation.privacy.owner import OwnerLimits, SessionTerms
from federation.update import RoundState
from whole_files import save_text


class PrivacyOff(FederationCallback):
    """Says loudly, at both ends of a run and on its card, that nothing is protected.

    Args:
        out_dir: Where the card goes.
        terms: What the run asks of the devices.
        limits: What their owners allow; None where nobody was asked.
    """

    def __init__(self, out_dir: Path, terms: SessionTerms, limits: OwnerLimits | None = None) -> None:
        self.out_dir, self.terms, self.limits = out_dir, terms, limits

    @override
    def on_run_start(self, state: RoundState) -> None:
        """Say it, unless an owner who was asked does not allow it.

        Raises:
            OwnerRefusalError: If the run goes beyond the limits.
            ValueError: If the run had privacy before.
        """
        if self.limits is not None:
            self.limits.demand(self.terms)
        keep_terms(state, {"--privacy.enabled": False})
        if state.is_main:
            save_text(self.out_dir / CARD, no_privacy_card())
            shout("PRIVACY IS OFF: updates are neither clipped, noised nor masked. No epsilon holds.")

    @override
    def on_run_end(self, state: RoundState) -> None:
        if state.is_main:
            shout("PRIVACY WAS OFF: whoever adds up the updates has seen each of them.")
