"""Generates held-out clips with what people end up with after a job, and scores them by every metric at hand."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tqdm import tqdm

from benchmarks.suites.args import GenerationArgs
from benchmarks.suites.scores import Adapters, Scoring
from datamodules.audio import sound_encoder
from evaluation.cases import client_cases
from evaluation.clip_scores import evaluate_cases
from evaluation.judges.available import find_judges
from evaluation.production import noise_seed
from evaluation.protocols import Judges
from evaluation.scores import Score
from evaluation.systems import OWN


@torch.no_grad()
def score_generated(scoring: Scoring, adapters: Mapping[str, Adapters], args: GenerationArgs) -> list[Score]:
    """Return the scores of clips that each person's own adapters make, the pose given where it is known.

    Every job makes the same clips from the same start noise, which is also that of `evaluate.py`.
    """
    people = [person for person in scoring.data.clients if person in adapters]
    judges = find_judges(args.judges) if args.judges else Judges()
    hear = sound_encoder(scoring.module.backbone.speech)
    cases, made = client_cases(scoring.data, people, args.clips, args.frames, hear), []
    for case in tqdm(cases, "generating", unit="clip", mininterval=5):
        scoring.load(adapters[case.person], personal=True)
        options = {"motion": case.motion, "steps": args.steps, "seed": noise_seed(0, case)}
        with scoring.fabric.autocast():
            made.append(scoring.module.generate(case.reference, case.sound, **options))
    return evaluate_cases(cases, {OWN: made}, judges)
