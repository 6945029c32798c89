"""Times clients that train in one batch against clients that train in turn: `python benchmarks/batched_clients.py`.

The model is the base that ships, the clips are random, and the machine is whatever there is. All group sizes take turns
within one process, and each figure is the median of ratios to the turn's sequential time, so that what else the machine
does meets all alike. A GPU gains where one client leaves it idle; a CPU core has no idle part to win.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone

from benchmarks.report import markdown_table, save_results
from commandline import run_command

if TYPE_CHECKING:  # torch and Lightning take seconds, which `--help` should not
    from benchmarks.synthetic import SyntheticClients


@dataclass(frozen=True)
class Comparison:
    """Seconds of a round for each number of clients at once, turn by turn."""

    seconds: dict[int, list[float]]

    @property
    def ratios(self) -> dict[int, float]:
        """Return how many times faster a round is than with one client after the other."""
        alone = self.seconds[1]
        return {
            at_once: median(one / several for one, several in zip(alone, taken, strict=True))
            for at_once, taken in self.seconds.items()
        }


def compare(cohort: "SyntheticClients", group_sizes: list[int], turns: int) -> Comparison:
    """Time a cohort's rounds; the first turn warms up and is not counted."""
    seconds: dict[int, list[float]] = {at_once: [] for at_once in group_sizes}
    for turn in range(turns + 1):
        for at_once in group_sizes if turn % 2 else reversed(group_sizes):
            taken = cohort.time(at_once)
            seconds[at_once] += [taken] if turn else []
    return Comparison(seconds)


def measure_batched_clients(
    base: str = "assets/base",
    clients: int = 8,
    steps: int = 4,
    clips: int = 2,
    turns: int = 3,
    accelerator: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true",
    out: str | None = None,
) -> Comparison:
    """Print the throughput of 1, 2, 4, ... clients at once, in units of one's.

    Args:
        base: Folder of the base model.
        clients: Clients of the cohort, and the largest group.
        steps: Optimizer steps of each.
        clips: Clips in a client's batch.
        turns: Turns that are counted.
        accelerator: Where to compute.
        precision: As for train.py.
        out: Where the figures go; nowhere if not given.
    """
    from benchmarks.synthetic import SyntheticClients
    from compute import make_fabric
    from federation.preparation import prepare_module
    from lightning_modules.talking_head import TalkingHead

    fabric = make_fabric(accelerator, 1, "auto", precision)
    head = prepare_module(fabric, TalkingHead(base))
    group_sizes = [2**power for power in range(clients.bit_length()) if 2**power <= clients]
    cohort = SyntheticClients(fabric, head, clips, head.backbone.shape.window, clients, steps)
    comparison = compare(cohort, group_sizes, turns)
    rows = [[at_once, median(comparison.seconds[at_once]), ratio] for at_once, ratio in comparison.ratios.items()]
    print(markdown_table(["clients at once", "seconds of a round", "times as fast"], rows))
    if out is not None:
        save_results(out, {"device": str(fabric.device), "seconds": comparison.seconds, "ratios": comparison.ratios})
    return comparison


if __name__ == "__main__":
    sys.exit(run_command(measure_batched_clients))
