"""Our rounds with the strategy `client_parallel`: `python -m benchmarks.engines.ours WORK OUT`.

The parts of `train.py --privacy.enabled false`: clients are handed out, weighed, averaged. Every round is committed as
in `train.py`, or, beside engines that write nothing, none is.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Optimizer

from benchmarks.engines.work import GRADIENT_CLIP, LEARNING_RATE, Batch, Done, Work, make_net, norm, read_arguments
from benchmarks.stopwatch import Stopwatch
from callbacks.isfa import ISFAAggregation
from federation.agreed_settings import AgreedSettings
from federation.args import AggregationArgs, ClippingArgs, FederationArgs, PrivacyArgs, SecurityArgs
from federation.checkpoints import RoundFolders
from federation.rounds import FederatedRounds
from federation.server_state import ServerState
from federation.strategy import register_strategies


class WorkModule(nn.Module):
    """The net as a `FederatedModule` that shares everything."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = make_net(width)
        self.losses: dict[str, Tensor] = {}

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Return a batch as it is: nothing is drawn."""
        return batch

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        inputs, labels = batch
        return cross_entropy(self.net(inputs), labels)

    def configure_optimizers(self) -> dict[str, Optimizer]:
        """Return the optimizer of everything."""
        return {"shared": SGD(self.shared_parameters(), lr=LEARNING_RATE)}

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return all parameters."""
        return list(self.net.parameters())

    def personal_parameters(self) -> list[nn.Parameter]:
        """Return nothing."""
        return []

    def signals(self, batches: Iterable[Batch]) -> tuple[float, float]:
        """Return what FedAvg never asks for."""
        raise NotImplementedError("Only ISFA scores clients.")


class WorkData:
    """The clients as `FederatedData`, with equal weights."""

    def __init__(self, work: Work) -> None:
        self.work, self.clients = work, work.names

    def num_examples(self, client: str) -> int:
        """Return the same for everybody."""
        return 1

    def client_dataloader(self, client: str, *, steps: int, seed: int, split: str = "train") -> Iterable[Batch]:
        """Return the client's batches, whatever the seed."""
        return self.work.batches(client)


class NoFolders(RoundFolders):
    """Writes nothing, which `train.py` cannot be asked for; enough for clients that keep nothing."""

    def begin(self, rounds_done: int) -> None:
        """Begin nowhere."""

    def commit(self, server: ServerState) -> Path:
        """Leave the round in memory."""
        return self.root


def run_rounds(fabric: Fabric, work: Work, folder: Path) -> Done:
    """Run the rounds on a launched Fabric and return what they took."""
    aggregation = AggregationArgs(gamma=0.0)
    federation = FederationArgs(
        rounds=work.rounds,
        local_steps=work.steps,
        sampling="all",
        aggregation="fedavg",
        shared_gradient_clip=GRADIENT_CLIP,
    )
    module, watch = WorkModule(work.width), Stopwatch()
    rounds = FederatedRounds(
        fabric,
        module,
        WorkData(work),
        AgreedSettings(PrivacyArgs(enabled=False), federation, aggregation, SecurityArgs(), ClippingArgs()),
        pipeline=[ISFAAggregation(aggregation)],
        observers=[watch],
        checkpoint_dir=folder,
    )
    if not work.saves:
        rounds.folders = NoFolders(folder)
    state = rounds.run()
    return Done(watch.seconds, norm([state.global_adapter]))


def run() -> None:
    """Run the rounds and write what they took."""
    work, out = read_arguments()
    register_strategies()
    fabric = Fabric(accelerator="cpu", devices=work.processes, strategy="client_parallel")
    fabric.launch()
    done = run_rounds(fabric, work, out.with_suffix(""))
    if fabric.is_global_zero:
        done.save(out)


if __name__ == "__main__":
    run()
