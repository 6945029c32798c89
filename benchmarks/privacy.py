"""Measures what privacy promises and what it costs: `python benchmarks/privacy.py`.

Times are CPU time, the least of what was repeated. Beside them stand the noise's variance, epsilon against another
accountant, and the tests of whatever must hold in many cases, run in full: tens of minutes (`--properties=false` leaves
them out). The comparison with Flower needs `pip install 'flwr==1.41.*'`, best in an environment of its own.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone

from benchmarks.against_flower import Masking, compare_with_flower
from benchmarks.mask_expansion import measure_expansion
from benchmarks.noise_and_epsilon import measure_epsilon, measure_noise
from benchmarks.privacy_costs import measure_round
from benchmarks.privacy_properties import PropertyOutcome, measure_properties, skip_properties
from benchmarks.report import RESULTS, Bar, bars_table, markdown_table, save_results
from commandline import run_command


def measure_privacy(
    dimension: int = 1_000_000,
    clients: int = 100,
    dropouts: int = 5,
    flower_clients: int = 21,
    rounds: int = 2,
    repeats: int = 100,
    points: int | None = None,
    properties: bool = True,
    out: str = str(RESULTS / "privacy.json"),
) -> list[Bar]:
    """Measure all of it, print the tables and return the bars.

    Args:
        dimension: Coordinates of an update, d.
        clients: Clients of the round that is timed as a whole.
        dropouts: Those of them that deal shares and then fall silent.
        flower_clients: Clients where Flower is compared; one drops out.
        rounds: Whole rounds of each kind; the least time counts.
        repeats: Expansions of one mask; the least time counts.
        points: Points of the grid of epsilons, from the first; all if not given.
        properties: Whether to run the tests of the properties, which takes longest.
        out: Where the figures go.
    """
    if min(rounds, repeats) < 1:
        raise ValueError(f"`--rounds` and `--repeats` must be at least 1. Got {rounds} and {repeats}.")
    parts = {
        "mask_expansion": measure_expansion(dimension, repeats),
        "against_flower": compare_with_flower(dimension, flower_clients, rounds),
        "round": measure_round(dimension, clients, dropouts, rounds),
        "noise_variance_ratios": measure_noise(dimension),
        "epsilon": measure_epsilon(points),
        "properties": measure_properties() if properties else skip_properties("skipped by --properties=false"),
    }
    bars = [bar for _, found in parts.values() for bar in found]
    figures = {name: figure for name, (figure, _) in parts.items()}
    save_results(out, {"d": dimension, **figures, "bars": bars})
    print(*tables(figures), bars_table(bars), sep="\n\n")
    return bars


def tables(figures: dict) -> list[str]:
    """Return what stands behind the bars as Markdown tables."""
    costs, masking, tested = figures["round"], figures["against_flower"], figures["properties"]
    taken = [["client", step, milliseconds(taken)] for step, taken in costs["client"].items()]
    taken += [["server", step, milliseconds(taken)] for step, taken in costs["server"].items()]
    taken += [["client, once per session", "sampler's table", milliseconds(costs["sampler_table"])]]
    found = [markdown_table(["of a round", "step", "CPU ms"], taken), masking_table(masking)]
    return [*found, properties_table(tested)] if tested else found


def masking_table(masking: dict[str, Masking | None]) -> str:
    """Return the times of both systems."""
    rows = [
        [name, milliseconds(own.client), milliseconds(own.server), own.bytes_per_coordinate]
        for name, own in masking.items()
        if own is not None
    ]
    return markdown_table(["masking", "client, CPU ms", "server, CPU ms", "bytes per coordinate"], rows)


def properties_table(tested: list[PropertyOutcome]) -> str:
    """Return what the tests of the properties showed."""
    rows = [[own.name, own.cases, own.passed, own.failed, own.skipped, f"{own.seconds:.0f}"] for own in tested]
    return markdown_table(["property", "cases", "tests passed", "failed", "skipped", "s"], rows)


def milliseconds(seconds: float) -> str:
    """Return seconds as milliseconds."""
    return f"{1000 * seconds:.2f}"


if __name__ == "__main__":
    sys.exit(run_command(measure_privacy))
