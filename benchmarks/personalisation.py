"""Scores what the adapters of a run are worth: `python benchmarks/personalisation.py --run runs/demo`.

Every client's held-out clips, at times and noise that are fixed, under the base, under the global adapter, and under
the global adapter with each client's identity adapter: a row per client whose clips are scored, a column per adapter.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone

import torch
from tqdm import tqdm

from benchmarks.report import RESULTS, Bar, bars_table, markdown_table, save_results
from benchmarks.runs import Run, open_run
from callbacks.held_out_loss import HeldOutLoss
from commandline import run_command

Losses = dict[str, dict[str, float]]
"""By client: the held-out loss under `base`, `shared` and each client's identity adapter."""


@torch.no_grad()
def try_everybody(run: Run, batches: int) -> Losses:
    """Try everybody's identity adapter on everybody; the run's module must hold no trained adapter yet."""
    loss = HeldOutLoss(run.fabric, run.module, run.data, batches)
    run.module.eval()
    held_out = {client: loss.batches(client) for client in loss.clients}
    losses = {client: {"base": loss.measure(client, clips)} for client, clips in held_out.items()}
    run.load_shared()
    for client, clips in held_out.items():
        losses[client]["shared"] = loss.measure(client, clips)
    for owner in tqdm(run.data.clients, "identity adapters", mininterval=5):
        run.load_identity(owner)
        for client, clips in held_out.items():
            losses[client][owner] = loss.measure(client, clips)
    return losses


def measure_personalisation(
    run: str = "runs/demo", batches: int = 8, out: str = str(RESULTS / "personalisation.json")
) -> list[Bar]:
    """Measure the adapters of a run, print the matrix and return the bars.

    Args:
        run: Folder of the run.
        batches: Held-out batches of each client.
        out: Where the figures go.
    """
    losses = try_everybody(open_run(run), batches)
    bars = demand(losses)
    save_results(out, {"run": run, "batches": batches, "bars": bars, "losses": losses})
    columns = list(next(iter(losses.values())))
    rows = [[client, *(f"{row[column]:.4f}" for column in columns)] for client, row in losses.items()]
    print(markdown_table(["clips of", *columns], rows), bars_table(bars), sep="\n\n")
    return bars


def demand(losses: Losses) -> list[Bar]:
    """Compare with what personalisation must show."""
    own = sum(row[client] for client, row in losses.items())
    base = sum(row["base"] for row in losses.values())
    wins = sum(row[client] < min(_strangers(client, row)) for client, row in losses.items())
    return [
        Bar.at_least("held-out loss below base, mean, in percent", 100 * (1 - own / base), 10.0),
        Bar.at_least(f"own adapter below every stranger's, of {len(losses)}", wins, max(1, len(losses) - 1)),
    ]


def _strangers(client: str, row: dict[str, float]) -> list[float]:
    return [loss for owner, loss in row.items() if owner not in {"base", "shared", client}] or [float("inf")]


if __name__ == "__main__":
    sys.exit(run_command(measure_personalisation))
