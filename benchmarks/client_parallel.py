"""Times the rounds of two devices against one: `python benchmarks/client_parallel.py`.

Eight clients with the same amount of data train the real model with the real pipeline, one thread per process. Each
measurement is a run of its own in fresh processes; reading and encoding come before the first round, which warms up and
is not counted. Three pairs of runs, their order alternating; the figure is the median of the pairs' ratios. The machine
must have nothing else to do and a core per device.
"""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone


from benchmarks.report import RESULTS, Bar, bars_table, markdown_table, save_results
from commandline import run_command
from datamodules.demo.people import make_demo_people
from datamodules.demo.seeds import PRIVATE_SEEDS
from datamodules.first_device import is_first_device

CLIPS = 2
"""Clips of 3 s of each client."""


def measure_client_parallel(
    settings: str = "configs/demo.yaml",
    devices: int = 2,
    pairs: int = 3,
    rounds: int = 2,
    root: str = "data/equal",
    overrides: list[str] | None = None,
    measure: str | None = None,
    out: str = str(RESULTS / "client_parallel.json"),
) -> list[Bar]:
    """Measure the throughput of several devices in units of one's, print it and return the bar.

    Args:
        settings: Config of the run; `federation.local_steps` must keep a client busy for at least a second.
        devices: Devices that are compared with one.
        pairs: Pairs of runs.
        rounds: Rounds of each run; the first is not counted.
        root: Where the clients are, or are made.
        overrides: Further options of train.py.
        measure: Only for the processes this command starts: take the time of one run into this file.
        out: Where the figures go.
    """
    if rounds < 2 or pairs < 1:
        raise ValueError(f"`--rounds` must be at least 2 and `--pairs` at least 1. Got {rounds} and {pairs}.")
    if measure is not None:
        take_time(settings, devices, overrides or [], Path(measure))
        return []
    options = [f"--data.root={root}", f"--federation.rounds={rounds}", *(overrides or [])]
    make_demo_people(root, PRIVATE_SEEDS, clips_per_person=CLIPS)
    taken: dict[int, list[float]] = {1: [], devices: []}
    for pair in range(pairs):
        for count in sorted(taken, reverse=pair % 2 == 1):
            taken[count].append(start_run(settings, count, options))
            print(f"pair {pair + 1}, {count} devices: {taken[count][-1]:.2f} s a round", flush=True)
    ratios = [one / several for one, several in zip(taken[1], taken[devices], strict=True)]
    client = median(taken[1]) / len(PRIVATE_SEEDS)
    bars = [
        Bar.at_least("seconds of a client", client, 1.0),
        Bar.at_least(f"throughput of {devices} devices, in units of 1 device's", median(ratios), 0.9 * devices),
    ]
    save_results(out, {"seconds_of_a_round": taken, "ratios": ratios, "options": overrides, "bars": bars})
    rows = list(zip(taken[1], taken[devices], ratios, strict=True))
    print(markdown_table(["1 device, s", f"{devices} devices, s", "ratio"], rows), bars_table(bars), sep="\n\n")
    return bars


def start_run(settings: str, devices: int, options: list[str]) -> float:
    """Run in a fresh process and return the seconds of a round."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "seconds.json"
        own = [
            f"--settings={settings}",
            f"--devices={devices}",
            f"--measure={file}",
            f"--overrides={json.dumps(options)}",
        ]
        subprocess.run([sys.executable, __file__, *own], check=True)
        seconds = json.loads(file.read_text())
    return sum(seconds) / len(seconds)


def take_time(settings: str, devices: int, options: list[str], file: Path) -> None:
    """Run and write the seconds of each round but the first; further devices start here, too."""
    from benchmarks.runs import run_timed
    from settings import read_settings

    chosen = [f"--devices={devices}", "--strategy=client_parallel", "--accelerator=cpu", *options]
    watch = run_timed(read_settings(settings, *chosen), file.parent)
    if is_first_device():
        file.write_text(json.dumps(watch.seconds[1:]))


if __name__ == "__main__":
    sys.exit(run_command(measure_client_parallel))
