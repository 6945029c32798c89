"""Times what privacy costs: `python benchmarks/privacy_stages.py --settings configs/demo.yaml`.

Rounds of the run that the config describes, on one device so that stages and training never overlap. Each hook of each
stage is timed where the round calls it: weight, clip, noise and mask of every client, the ledger with its accountant,
unmasking and decoding. The wall time is the round's, from the end of one round to the end of the next.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone


from benchmarks.report import RESULTS, Bar, bars_table, markdown_table, save_results
from benchmarks.runs import Pipeline, run_timed
from commandline import run_command
from federation.hooks import FederationCallback
from federation.vectors import read_vector
from settings import read_settings

Seconds = dict[tuple[str, str], float]
"""By stage and hook."""

OF_THE_RUN = ("on_run_start", "on_run_end")
"""Hooks outside the rounds."""


class TimedStage:
    """Stands in for a stage of the pipeline and adds up the time of each of its hooks."""

    def __init__(self, stage: FederationCallback, seconds: Seconds) -> None:
        self.stage, self.seconds = stage, seconds

    def __getattr__(self, hook: str) -> Callable[..., None]:
        """Return the stage's hook, timed."""
        own = getattr(self.stage, hook)
        if getattr(type(self.stage), hook) is getattr(FederationCallback, hook):
            return own  # it does nothing there

        def timed(*args: object) -> None:
            start = time.perf_counter()
            own(*args)
            self.seconds[type(self.stage).__name__, hook] += time.perf_counter() - start

        return timed


def measure_privacy_stages(
    settings: str = "configs/demo.yaml",
    rounds: int = 2,
    overrides: list[str] | None = None,
    out: str = str(RESULTS / "privacy_stages.json"),
) -> list[Bar]:
    """Measure the share of the privacy stages in a round's wall time, print it by stage and return the bar.

    Args:
        settings: Config of the run.
        rounds: How many rounds.
        overrides: Further options of train.py, e.g. `[--federation.local_steps=2]`.
        out: Where the figures go.
    """
    one_device = ["--devices=1", "--strategy=client_parallel", "--accelerator=cpu", f"--federation.rounds={rounds}"]
    chosen = read_settings(settings, *one_device, *(overrides or []))
    seconds: Seconds = defaultdict(float)

    def wrap(pipeline: Pipeline) -> Pipeline:
        return [TimedStage(stage, seconds) for stage in pipeline]

    with TemporaryDirectory() as folder:
        watch = run_timed(chosen, Path(folder), wrap)
    dimension, wall = read_vector(chosen.module.shared_parameters()).numel() + 1, sum(watch.seconds)
    timed = {key: value for key, value in seconds.items() if key[1] not in OF_THE_RUN}
    share = sum(timed.values()) / wall
    bar = Bar.at_most(f"privacy stages at d = {dimension}, share of a round in percent", 100 * share, 5.0)
    stages = {" ".join(key): value / rounds for key, value in timed.items()}
    figures = {"d": dimension, "clients": len(chosen.data.clients), "local_steps": chosen.federation.local_steps}
    figures |= {"seconds_of_a_round": wall / rounds, "seconds_by_stage": stages, "bars": [bar]}
    save_results(out, figures)
    rows = [[*key, f"{1000 * value / rounds:.1f}", f"{100 * value / wall:.2f}"] for key, value in timed.items()]
    print(markdown_table(["stage", "hook", "ms per round", "% of the round"], rows), bars_table([bar]), sep="\n\n")
    return [bar]


if __name__ == "__main__":
    sys.exit(run_command(measure_privacy_stages))
