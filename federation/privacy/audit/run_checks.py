"""Checks of what a run left: its books agree with each other, and nothing private lies where it is shared."""

from __future__ import annotations

from federation.privacy.audit.run_books import check_claims, check_devices, check_releases
from federation.privacy.audit.run_folder import RunFolder
from federation.privacy.audit.run_leaks import check_declarations, check_figures, check_server_part
from federation.privacy.audit.verdict import Verdict, none_of
from federation.privacy.ledger import HEAD_NOTE, LEDGER, Ledger


def check_run(run: RunFolder) -> list[Verdict]:
    """Check the folder of a run; a ledger that cannot be read, or is elsewhere, leaves the checks that need it out."""
    leaks = [check(run) for check in (check_server_part, check_figures, check_declarations)]
    try:
        ledger = Ledger(run.path / LEDGER, run.server["notes"].get(HEAD_NOTE))
    except ValueError as error:
        return [none_of("the ledger is whole", [str(error)]), *leaks]
    whole = none_of("the ledger is whole", [], f"{len(ledger.entries)} releases, and the checkpoint's head among them")
    books = [check_releases, check_claims, *([check_devices] if run.devices is not None else [])]
    return [whole, *(check(run, ledger) for check in books), *leaks]
