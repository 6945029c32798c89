"""A run that goes on keeps the privacy terms of its first rounds: one card holds of all of them."""

from __future__ import annotations

from collections.abc import Mapping

from federation.update import RoundState

TERMS_NOTE = "privacy_terms"


def keep_terms(state: RoundState, terms: Mapping[str, object]) -> None:
    """Hold a run that goes on to the terms of the rounds that are done, at the start of each of its processes.

    The ledger knows noise and sample rate of each release, but not where keys and coins came from.

    Raises:
        ValueError: If a term has changed, or was not recorded.
    """
    before = state.notes.get(TERMS_NOTE, {}) if state.index else terms
    for name in [*terms, *(before.keys() - terms.keys())]:
        if before.get(name) != terms.get(name):
            raise ValueError(
                "All rounds of a run have the same privacy terms, or its card would be wrong. "
                f"Got {name} {terms.get(name, 'not set')}; it was {before.get(name, 'not set')} in the rounds before. "
                "Go on with the run's own settings, or start anew in another `--out_dir`. For more rounds than a "
                "target epsilon was solved for, keep z as the card has it: `--privacy.noise_multiplier Z "
                "--privacy.target_epsilon null`."
            )
    state.notes = {**state.notes, TERMS_NOTE: dict(terms)}
