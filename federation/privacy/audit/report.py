"""The audit on one page."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from federation.privacy.audit.audit import Audit, largest_provable
from federation.privacy.audit.battery import Outcome
from federation.privacy.audit.picture import draw_audit
from federation.privacy.audit.verdict import SIGNS, Verdict
from whole_files import save_text

FOLDER, REPORT, PICTURE = "audit", "report.md", "report.png"


def write_report(audit: Audit) -> Path:
    """Write `RUN/audit/report.md` and the picture beside it; return the report."""
    folder = audit.run.path / FOLDER
    folder.mkdir(exist_ok=True)
    draw_audit(audit).save(folder / PICTURE, optimize=True)
    return save_text(folder / REPORT, "\n".join(_lines(audit)) + "\n")


def _lines(audit: Audit) -> list[str]:
    failed = [verdict for verdict in audit.verdicts if not verdict.passed]
    state = f"**{len(failed)} of {len(audit.verdicts)} checks FAILED.**" if failed else "**All checks passed.**"
    return [
        f"# Audit of {audit.run.path.name}",
        "",
        f"{state} {_headline(audit)}",
        "",
        *(f"- FAILED: {verdict.check}: {verdict.detail}" for verdict in failed),
        *([""] if failed else []),
        f"![The audit in a picture]({PICTURE})",
        "",
        "## What the run left behind",
        "",
        *_table(["check", "result", "found"], ([v.check, _state(v), v.detail] for v in audit.folder)),
        "",
        *([_ELSEWHERE, ""] if audit.run.devices is None else []),
        "## The code under the run's terms",
        "",
        _terms(audit),
        "",
        *_outcomes(audit.parts),
        "",
        "## Attacks where they can prove something",
        "",
        "Coins known, one round, and noise for a claim of at most epsilon 2: above, few canaries prove nothing.",
        "",
        *_outcomes(audit.attacks),
        "",
        *_LIMITS,
    ]


def _headline(audit: Audit) -> str:
    rows = {name: value for name, value in audit.run.rows.items() if name.startswith("epsilon")}
    claims = "; ".join(f"{name.removeprefix('epsilon, ')}: {value}" for name, value in rows.items())
    whole = audit.whole
    power = "" if whole.bound <= largest_provable() else f" No figure above {largest_provable():.1f} could be proven."
    seeded = " **Its keys were seeded: it protects nobody.**" if audit.run.privacy.key_source == "seeded" else ""
    return (
        f"Claimed epsilon, {claims}. Over {audit.rounds} rounds with secret coins that is {whole.bound:.2f}; "
        f"an attacker with canaries proved **{whole.figure:.2f}** ({whole.detail}).{power}{seeded}"
    )


def _terms(audit: Audit) -> str:
    terms, run = audit.system.terms, audit.run
    return (
        f"S = {terms.clip_norm:g}, z = {terms.noise_multiplier:.4g}, q = {terms.sample_rate:g}, "
        f"n = {terms.clients} (of {run.clients}), D = {terms.dimension:,} (of {run.dimension:,}), "
        f"{len(terms.colluders)} colluders, {len(terms.dropped)} dropouts. Each check ran again on broken copies "
        "of the code; those that it let through are named. With few clients, some faults change next to nothing."
    )


def _outcomes(outcomes: Iterable[Outcome]) -> list[str]:
    rows = ([o.verdict.check, _state(o.verdict), _figure(o.verdict), _noticed(o), o.verdict.detail] for o in outcomes)
    return _table(["check", "result", "figure", "faults noticed", "how"], rows)


def _noticed(outcome: Outcome) -> str:
    count = f"{len(outcome.faults) - len(outcome.missed)} of {len(outcome.faults)}"
    missed = f"; blind to {', '.join(outcome.missed)}" if outcome.missed else ""
    return count + missed if outcome.faults else "-"


def _figure(verdict: Verdict) -> str:
    return f"{verdict.figure:.3g} {SIGNS[verdict.side]} {verdict.bound:.3g}"


def _state(verdict: Verdict) -> str:
    return "pass" if verdict.passed else "**FAIL**"


def _table(names: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Return a Markdown table."""
    cells = [names, ["---"] * len(names), *rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells]


_ELSEWHERE = "The clients' own ledgers are not in the run's folder, and were not looked at."
_LIMITS = (
    "## What this does not show",
    "",
    "- A passed audit is no proof: attacks that nobody has thought of stay possible. The proof is in docs/privacy.md.",
    "- The clips are not looked at. Whether a person's face can be recognised in a video is another question.",
    "- The run is taken to have used the code that audits it; the card names the hash of the sources.",
    "- Nothing is said about the machine, the network, or when messages were sent.",
)
