"""The report of an evaluation, in Markdown: what was measured, how, what it says, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evaluation.anchors import RECORDED, STATIC
from evaluation.cases import Case
from evaluation.catalogue import METRICS, named, unmeasured
from evaluation.finished_run import FinishedRun
from evaluation.metrics.likeness import IS_OWNER, OWNER
from evaluation.protocols import Judges
from evaluation.reporting.markdown import markdown_table
from evaluation.reporting.report_tables import difference_tables, group_tables
from evaluation.scores import Score
from evaluation.statistics import TOO_FEW
from evaluation.table import Table
from lightning_modules.model_folder import fingerprint
from lightning_modules.sampling import SamplingOptions

MISSING = "weights missing"


@dataclass(frozen=True)
class Findings:
    """All that a report is written from."""

    run: FinishedRun
    cases: list[Case]
    sampling: SamplingOptions
    judges: Judges
    scores: list[Score]

    @property
    def people(self) -> list[str]:
        """Return who was scored."""
        return list(dict.fromkeys(case.person for case in self.cases))


def write_report(findings: Findings, table: Table) -> str:
    """Return the report.

    Args:
        findings: What was measured.
        table: `summarise` of its scores.
    """
    parts = [
        *_opening(findings, table),
        *group_tables(table, findings.people),
        "\n## Paired differences\n",
        "First system less second, on the same clips from the same start noise. A difference counts where the "
        "bootstrap's interval and, below 20 people, Student's t exclude 0. "
        "No correction is made for how many are shown.",
        *difference_tables(findings.scores),
        *_closing(findings),
    ]
    return "\n".join(parts)


def _opening(findings: Findings, table: Table) -> Iterator[str]:
    run, cases, sampling = findings.run, findings.cases, findings.sampling
    lengths = [len(case.frames) for case in cases]
    kinds = dict.fromkeys(metric.judge for metric in METRICS if metric.judge)
    yield f"# Evaluation of {run.folder.name}\n"
    yield "It shows private people: it belongs where the run's `local/` is kept.\n"
    rows = [
        ["people", f"{len(findings.people)}: {', '.join(findings.people)}"],
        ["held-out clips", f"{len(cases)}, {sum(lengths):,} frames of {cases[0].frames.shape[-1]} pixels"],
        ["frames per clip", f"{min(lengths)} to {max(lengths)}"],
        ["base model", f"{run.base}, {fingerprint(run.base)[:12]}"],
        ["sampling", f"{sampling.steps} steps, seed {sampling.seed}, the same start noise for every system"],
        *[[f"judge: {kind}", _name_of(findings.judges, kind)] for kind in kinds],
    ]
    yield markdown_table(["what", "value"], rows)
    yield "\n" + "\n\n".join([*_remarks(findings), *_trust_in_likeness(findings, table)])


def _name_of(judges: Judges, kind: str) -> str:
    judge = getattr(judges, kind)
    return MISSING if judge is None else judge.name


def _remarks(findings: Findings) -> Iterator[str]:
    yield (
        "Every figure is taken from frames before any encoding, against the frames decoded from the clip. Brackets "
        "hold 95 % intervals over people (bootstrap of whole people)."
    )
    if len(findings.people) <= TOO_FEW:
        yield f"**{len(findings.people)} people are too few for an interval:** they are listed one by one."
    if unknown := sorted({case.person for case in findings.cases if case.motion is None}):
        yield (
            f"**No system is given the pose**, as nobody knows the head motion of {', '.join(unknown)}, nor how far "
            "their mouths are open. A head that moves otherwise than the recorded one costs more PSNR than a still "
            "one, whatever the mouth does."
        )
    if promises := findings.run.promises():
        rows = "\n".join(promises)
        yield f"The run's privacy card says, of the global adapter alone:\n\n| what | value |\n| --- | --- |\n{rows}"
    else:
        yield "**The run has no privacy guarantee:** it left no privacy card with an epsilon."


def _trust_in_likeness(findings: Findings, table: Table) -> Iterator[str]:
    """Say how far the identity judge can be believed: what it says of the recorded clips and of a mere copy."""
    judge = findings.judges.identity
    if judge is None or len(findings.people) < 2:
        return
    right, copied = table.mean(RECORDED, named(IS_OWNER, judge)), table.mean(STATIC, named(OWNER, judge))
    if right is not None and copied is not None:
        yield (
            f"Likeness is judged by the {judge.name} among {len(findings.people)} people. Of the recorded clips it "
            f"finds {right.mean:.0%} nearest to their owner; a static copy has a CSIM of {copied.mean:.3f} to the "
            "reference that it copies."
        )


def _closing(findings: Findings) -> Iterator[str]:
    yield "\n## What the metrics mean\n"
    absent = {metric.name for metric in unmeasured(findings.judges)}
    rows = [
        [metric.name, metric.better, f"**{MISSING}**" if metric.name in absent else metric.meaning]
        for metric in METRICS
    ]
    yield markdown_table(["metric", "better", "what it is"], rows)
    yield (
        "\n`-local` marks metrics by a network of our own, whose values compare with no published ones. "
        "All scores, clip by clip: `metrics.csv`. Pictures: `figures/`. Videos: `videos/`.\n"
    )
