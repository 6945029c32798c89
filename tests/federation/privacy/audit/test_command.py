"""The command: one line for each mistake, and a page with the lower bound beside the claim."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image
from safetensors import SafetensorError

from federation.privacy.audit import __main__ as command
from federation.privacy.audit import audit
from federation.privacy.audit.battery import Outcome
from federation.privacy.audit.report import write_report
from federation.privacy.audit.verdict import at_least, at_most, none_of
from tests.federation.privacy.audit.test_run_folder import release_a_loss


@pytest.fixture(scope="module")
def audited(finished, tmp_path_factory):
    """Audit a tiny run, all of it, and write its report."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("command") / "run")
    done = audit.audit_run(folder)
    return done, write_report(done)


@pytest.mark.slow
def test_a_good_run_passes_and_every_check_could_have_failed(audited):
    done, _ = audited
    assert done.passed
    missed = {(outcome.verdict.check, name) for outcome in (*done.parts, *done.attacks) for name in outcome.missed}
    # With eight clients the product rule counts right, and a wrong division by n is too small for the one-run audit.
    assert {name for _, name in missed} <= {"product rule", "noise over n"}
    assert len(missed) <= 3


@pytest.mark.slow
def test_the_report_says_what_is_claimed_and_what_was_proven(audited):
    done, report = audited
    text = report.read_text()
    assert text.count("\n") < 70
    for part in (
        "All checks passed",
        f"coins secret: {done.run.rows['epsilon, coins secret']}",
        f"proved **{done.whole.figure:.2f}**",
        "2 rounds with secret coins",
        "protects nobody",
        "3 of 3",
        "What this does not show",
    ):
        assert part in text, part
    with Image.open(report.with_name("report.png")) as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 10
    assert report.with_name("report.png").stat().st_size < 250_000


@pytest.fixture
def quick(monkeypatch):
    """Leave out what takes long and does not look at the folder."""
    passes, fails = at_most("one", 0.1, 1.0), at_most("one", 2.0, 1.0)
    monkeypatch.setattr(audit, "examine_all", lambda checks, system: [Outcome(passes, {"a fault": fails})] * 8)
    monkeypatch.setattr(audit, "check_whole", lambda system, rounds: at_most("whole", 0.2, 1.5))


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_exit_codes(run, capsys):
    assert command.main([str(run)]) == 0
    assert "Passed. The report" in capsys.readouterr().out
    release_a_loss(run)
    assert command.main([str(run)]) == 1
    assert "FAIL  figures are released or local" in capsys.readouterr().out
    assert "1 of 24 checks FAILED" in (run / "audit" / "report.md").read_text()


@pytest.mark.parametrize("wrong", ["nowhere", "."])
def test_what_is_no_run_is_one_line(wrong, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main([wrong]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert ": An audit needs the folder of a run." in said


@pytest.mark.parametrize(("error", "code"), [(SafetensorError("disk full"), 2), (KeyboardInterrupt(), 130)])
def test_what_ends_an_audit_early_is_one_line(error, code, monkeypatch, capsys):
    def end(path, seed):
        raise error

    monkeypatch.setattr(audit, "audit_run", end)
    assert command.main(["runs/demo"]) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_a_figure_that_is_no_number_keeps_no_bound():
    assert not at_most("x", float("nan"), 1.0).passed
    assert not at_least("x", float("nan"), 1.0).passed
    assert at_least("x", 1.0, 1.0).passed
    assert none_of("x", []).passed
    assert none_of("x", ["a", "b", "c", "d"]).detail == "a; b; c; ..."
    assert str(at_most("x", 2.0, 1.0)) == "FAIL  x: 2 <= 1"


def test_no_bound_above_what_all_canaries_can_prove():
    assert 3.7 < audit.largest_provable() < 3.8
