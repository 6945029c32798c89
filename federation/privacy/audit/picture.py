"""The audit as a picture: what attackers get out of the code and of its broken copies, and every check."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from federation.privacy.audit.audit import Audit
from federation.privacy.audit.battery import Outcome
from federation.privacy.audit.verdict import Verdict

WIDTH, ROW, MARGIN, HEADER = 1_240, 27, 28, 88
LABELS, BARS, CHECKS = 250, 260, 660
"""Widths of the names of bars and of the longest bar, and where the checks begin, pixels."""
INK, GREY, GOOD, BAD, BOUND = "#202124", "#8a8f98", "#2e7d4f", "#b3261e", "#1a56a8"


@dataclass(frozen=True)
class Bar:
    """A figure and the bound it is held against; a broken copy's figure should exceed it."""

    name: str
    figure: float
    bound: float


def draw_audit(audit: Audit) -> Image.Image:
    """Return the picture, RGB: attackers' figures on the left, checks on the right."""
    rows = [Outcome(verdict, {}) for verdict in audit.folder] + audit.parts + audit.attacks + [Outcome(audit.whole, {})]
    page = Image.new("RGB", (WIDTH, HEADER + ROW * len(rows) + MARGIN), "white")
    draw = ImageDraw.Draw(page)
    failed = sum(not verdict.passed for verdict in audit.verdicts)
    state = f"{failed} checks FAILED" if failed else "all checks passed"
    draw.text((MARGIN, MARGIN), f"Audit of {audit.run.path.name}: {state}", INK, _font(26))
    below = _draw_bars(draw, "Epsilon proven with 95 % confidence", _epsilons(audit), HEADER)
    _draw_bars(draw, "Attack scores, AUC or cosine", _scores(audit), below + ROW)
    draw.text((WIDTH - MARGIN, HEADER - ROW), "faults noticed", GREY, _font(14), anchor="ra")
    for number, outcome in enumerate(rows):
        _draw_check(draw, outcome, HEADER + number * ROW)
    return page


def _epsilons(audit: Audit) -> list[Bar]:
    """Return the run's own bar, then those of the one-run audit at a small claim, broken copies last."""
    one_run = audit.attacks[0]
    bars = {f"this run, {audit.rounds} rounds": audit.whole, "the code, one round": one_run.verdict}
    bars |= {f"broken: {name}": verdict for name, verdict in one_run.faults.items()}
    return [Bar(name, verdict.figure, verdict.bound) for name, verdict in bars.items()]


def _scores(audit: Audit) -> list[Bar]:
    """Return what the attacks on adapters and updates reach through the pipeline, and where nothing is protected."""
    bars = []
    for outcome in audit.attacks[2:]:
        is_control = outcome.verdict.check.startswith("control")
        bound = outcome.verdict.bound if not is_control else bars[-1].bound
        name = "unprotected" if is_control else outcome.verdict.check.split(" can")[0].split(": ")[0]
        bars.append(Bar(f"  {name}" if is_control else f"{name}, protected", outcome.verdict.figure, bound))
    return bars


def _draw_bars(draw: ImageDraw.ImageDraw, title: str, bars: list[Bar], top: int) -> int:
    """Draw bars with a line at each bound, a bound beyond the scale in words only; return where they end."""
    scale = BARS / max(bar.figure for bar in bars)
    draw.text((MARGIN, top), f"{title}; the line is the bound", INK, _font(16))
    for number, bar in enumerate(bars, start=1):
        y, x = top + number * ROW, MARGIN + LABELS
        draw.text((MARGIN, y), bar.name, INK, _font(15))
        draw.rectangle((x, y + 1, x + max(2, bar.figure * scale), y + 15), BAD if bar.figure > bar.bound else GOOD)
        line = x + bar.bound * scale
        if line <= x + BARS:
            draw.line((line, y - 3, line, y + 19), BOUND, 3)
        draw.text((x + BARS + 10, y), f"{bar.figure:.2f} of {bar.bound:.2f}", INK, _font(15))
    return top + (len(bars) + 1) * ROW


def _draw_check(draw: ImageDraw.ImageDraw, outcome: Outcome, y: int) -> None:
    verdict: Verdict = outcome.verdict
    draw.rectangle((CHECKS, y + 3, CHECKS + 12, y + 15), GOOD if verdict.passed else BAD)
    draw.text((CHECKS + 22, y), verdict.check, INK, _font(15))
    if outcome.faults:
        noticed = f"{len(outcome.faults) - len(outcome.missed)} of {len(outcome.faults)}"
        draw.text((WIDTH - MARGIN, y), noticed, INK, _font(15), anchor="ra")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
