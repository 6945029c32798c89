"""Every check passes on the true system and fails on each of its faults: an audit must be able to fail."""

from __future__ import annotations

import pytest

from federation.privacy.audit.battery import ATTACKS, PARTS, Check, examine, in_words, powerful
from federation.privacy.audit.clip import check_fuzzed_clip
from federation.privacy.audit.distinguishing import check_distinguishing
from federation.privacy.audit.one_run import check_one_run, check_one_shot
from federation.privacy.audit.system import System
from federation.privacy.audit.verdict import Verdict
from tests.federation.privacy.audit.systems import make_system

DEAR = (check_fuzzed_clip, check_distinguishing, check_one_run, check_one_shot)
"""Checks by sampling, slow on faulty systems: quicker checks of the same battery see each of those faults, too."""


def name(check: Check) -> str:
    function = getattr(check.run, "func", check.run)
    return "-".join([function.__name__, *getattr(check.run, "keywords", {}).values()])


def slow_where(check: Check, kind: type[System]) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] * (check.run in DEAR and kind is not System)


def cases(checks: tuple[Check, ...]) -> list:
    """Return each check with the true system, and with each of its faults."""
    return [
        pytest.param(check, kind, id=f"{name(check)}-{in_words(kind)}", marks=slow_where(check, kind))
        for check in checks
        for kind in (System, *check.faults)
    ]


def judge(check: Check, system: System) -> Verdict:
    verdict = check.run(system)
    assert verdict.passed == (type(system) is System), str(verdict)
    return verdict


@pytest.mark.slow
@pytest.mark.parametrize(("check", "kind"), cases(PARTS))
def test_parts(check, kind):
    judge(check, make_system(kind))


@pytest.mark.slow
@pytest.mark.parametrize(("check", "kind"), cases(ATTACKS))
def test_attacks(check, kind):
    judge(check, powerful(make_system(kind, clients=24)))


def test_every_fault_is_noticed_by_some_check():
    noticed = {fault for check in (*PARTS, *ATTACKS) for fault in check.faults}
    everything = set(System.__subclasses__()) - {kind for kind in System.__subclasses__() if "tests" in kind.__module__}
    assert everything == noticed


def test_an_outcome_names_the_faults_a_check_is_blind_to():
    blind = Check(lambda system: Verdict("always", 0.0, "at most", 1.0), PARTS[0].faults)
    assert examine(blind, make_system()).missed == ("no clip", "clip per tensor", "nan pass through")
    assert examine(PARTS[0], make_system()).missed == ()


def test_attacks_are_made_where_little_is_claimed():
    assert powerful(make_system(noise_multiplier=0.1)).terms.claim() <= 2
    assert powerful(make_system(noise_multiplier=5.0)).terms.noise_multiplier == 5.0
