"""Times our rounds beside Flower's Ray simulation and pfl-research: `python benchmarks/simulation.py`.

Every engine trains the same net on the same clients' data, two processes with a thread each, and must end with the same
parameters. What an engine adds to a client is the time of a round less that of the training alone, per client and
process. Flower and pfl-research write nothing to disk here, so ours is held against them without its commits, and shown
with them beside that. Engines take turns, each run in fresh processes; the first rounds warm up and are not counted.
The others live in an environment of their own:

    python -m venv engines
    engines/bin/pip install -r benchmarks/engines/requirements.txt
    .venv/bin/python benchmarks/simulation.py --flower_python engines/bin/python --pfl_python engines/bin/python

Last come clients of which some take ten times as long as others: our rounds, commits included, against a schedule made
with all times known. Its clients wait most of their time, so that two processes need no two free cores.
"""

import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone

from benchmarks.engines.engine import Engine
from benchmarks.engines.trace import longest_first_makespan, spread_costs
from benchmarks.engines.work import Done, Work
from benchmarks.report import RESULTS, Bar, bars_table, markdown_table, save_results
from commandline import run_command

PROCESSES, WARM_UP = 2, 2
BARE = Engine("training alone", "bare", is_torchrun=True)
OURS = Engine("client_parallel", "ours")
COMMITTING = Engine("client_parallel, every round committed", "ours", saves=True)
SHARES = {"pfl-research": 1.0, "Flower-Ray": 0.25}
"""How large our overhead may be, in units of theirs."""
SLACK = 1.1
"""How long our rounds may take, in units of the schedule's."""

Runs = dict[str, list[Done]]


def compare_engines(
    flower_python: str = sys.executable,
    pfl_python: str = sys.executable,
    clients: int = 20,
    local_steps: int = 5,
    widths: tuple[int, ...] = (52, 752),
    rounds: int = 12,
    repeats: int = 5,
    longest: float = 0.5,
    limit: float = 600.0,
    out: str = str(RESULTS / "simulation.json"),
) -> list[Bar]:
    """Measure what engines add to a client's training and how well ours packs uneven clients.

    Args:
        flower_python: Python of the environment that holds Flower and Ray.
        pfl_python: Python of the environment that holds pfl-research.
        clients: Clients, all of which train in each round.
        local_steps: Steps of each client.
        widths: Of the nets' hidden layers; each is a comparison of its own.
        rounds: Rounds of each run; the first two are not counted.
        repeats: Runs of each engine and width.
        longest: Seconds of the longest of the uneven clients; the shortest takes a tenth.
        limit: Seconds that one run of an engine may take.
        out: Where the figures go.
    """
    if rounds <= WARM_UP or repeats < 1:
        raise ValueError(f"`--rounds` must be above {WARM_UP} and `--repeats` at least 1. Got {rounds} and {repeats}.")
    others = [
        Engine("pfl-research", "pfl_research", pfl_python, ("pfl",), is_torchrun=True),
        Engine("Flower-Ray", "flower_ray", flower_python, ("flwr", "ray")),
    ]
    versions = {engine.name: engine.versions() for engine in others}
    engines = [BARE, OURS, COMMITTING, *(engine for engine in others if versions[engine.name])]
    figures, bars = {}, []
    for width in widths:
        runs = take_turns(engines, Work(clients, local_steps, width, rounds, PROCESSES), repeats, limit)
        figures[width] = describe(runs, clients)
        bars += judge(runs, clients, f"width {width}")
        print(engines_table(figures[width], versions), "", sep="\n", flush=True)
    costs = spread_costs(clients, longest)
    uneven = COMMITTING.run(Work(clients, local_steps, min(widths), rounds, PROCESSES, costs), limit).seconds
    bound = longest_first_makespan(costs, PROCESSES)
    bars.append(Bar.at_most("round of uneven clients / longest-first schedule", median(uneven[1:]) / bound, SLACK))
    trace = {"costs": costs, "longest_first_seconds": bound, "seconds_of_a_round": uneven}
    save_results(out, {"versions": versions, "widths": figures, "uneven_clients": trace, "bars": bars})
    print(bars_table(bars))
    return bars


def take_turns(engines: list[Engine], work: Work, repeats: int, limit: float) -> Runs:
    """Have every engine do the work several times, the order turning."""
    runs: Runs = defaultdict(list)
    for repeat in range(repeats):
        for engine in engines if repeat % 2 == 0 else reversed(engines):
            runs[engine.name].append(engine.run(work, limit))
            counted = median(runs[engine.name][-1].seconds[WARM_UP:])
            print(f"width {work.width}, run {repeat + 1}, {engine.name}: {counted:.3f} s a round", flush=True)
    return runs


def overhead(runs: Runs, name: str, clients: int) -> float:
    """Return the milliseconds an engine adds to a client; median over runs, each less the bare loop of its turn."""
    took, alone = ([median(done.seconds[WARM_UP:]) for done in runs[engine]] for engine in (name, BARE.name))
    return 1e3 * PROCESSES / clients * median(ours - bare for ours, bare in zip(took, alone, strict=True))


def describe(runs: Runs, clients: int) -> dict[str, dict[str, object]]:
    """Return each engine's figures."""
    return {
        name: {
            "overhead_ms": overhead(runs, name, clients),
            "shortest_round": min(second for done in several for second in done.seconds[WARM_UP:]),
            "checksum": several[0].checksum,
            "seconds_of_a_round": [done.seconds for done in several],
        }
        for name, several in runs.items()
    }


def judge(runs: Runs, clients: int, where: str) -> list[Bar]:
    """Return whether all ended with the same parameters, and our overhead against each engine's."""
    sums, right = [done.checksum for several in runs.values() for done in several], runs[BARE.name][0].checksum
    bars = [Bar.at_most(f"{where}: difference of checksums", max(abs(one / right - 1) for one in sums), 1e-5)]
    ours = overhead(runs, OURS.name, clients)
    for name, share in SHARES.items():
        title = f"{where}: overhead of a client, ms, against {share:g} x {name}'s"
        if name in runs:
            bars.append(Bar.at_most(title, ours, share * overhead(runs, name, clients)))
        else:
            bars.append(Bar.not_measured(title, f"<= {share:g} x", "not installed"))
    return bars


def engines_table(figures: dict[str, dict[str, object]], versions: dict[str, str | None]) -> str:
    """Return a row for every engine, installed or not."""
    header = ["engine", "overhead of a client, ms", "shortest round, s", "checksum"]
    rows = [[name, row["overhead_ms"], row["shortest_round"], row["checksum"]] for name, row in figures.items()]
    rows += [[name, "not installed", "", ""] for name, version in versions.items() if not version]
    return markdown_table(header, rows)


if __name__ == "__main__":
    sys.exit(run_command(compare_engines))
