"""Apple's pfl-research.

`torchrun --standalone --nproc_per_node=N -m benchmarks.engines.pfl_research WORK OUT`.
"""

from __future__ import annotations

import time

import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByUser
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam.base import NNTrainHyperParams
from pfl.internal.ops.selector import get_framework_module
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD

from benchmarks.engines.work import BATCH_SIZE, GRADIENT_CLIP, LEARNING_RATE, Done, Work, make_net, norm, read_arguments


class PflNet(nn.Module):
    """The net, with the two methods that pfl asks for."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = make_net(width)

    def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return cross_entropy(self.net(inputs), labels)

    @torch.no_grad()
    def metrics(self, inputs: Tensor, labels: Tensor) -> dict[str, float]:
        """Return nothing: evaluation is asked for in no round that counts."""
        return {"loss": self.loss(inputs, labels).item()}


class Stopwatch(TrainingProcessCallback):
    """Takes the time from the end of one round to the end of the next."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.ended = time.perf_counter()

    def after_central_iteration(self, aggregate_metrics, model, *, central_iteration):
        now = time.perf_counter()
        self.seconds.append(now - self.ended)
        self.ended = now
        return False, Metrics()


def make_dataset(work: Work, client: str) -> Dataset:
    """Return a client's batches in a row, as pfl cuts them itself."""
    inputs, labels = zip(*work.batches(client), strict=True)
    return Dataset((torch.cat(inputs), torch.cat(labels)), user_id=client)


def run() -> None:
    """Run the rounds and write what they took."""
    work, out = read_arguments()
    datasets = {client: make_dataset(work, client) for client in work.names}
    clients = FederatedDataset(datasets.__getitem__, get_user_sampler("minimize_reuse", work.names))
    net = PflNet(work.width)
    model = PyTorchModel(net, SGD, SGD(net.parameters(), lr=1.0))
    watch = Stopwatch()
    FederatedAveraging().run(
        NNAlgorithmParams(
            work.rounds, evaluation_frequency=10**9, train_cohort_size=work.clients, val_cohort_size=None
        ),
        SimulatedBackend(clients, clients, postprocessors=[WeightByUser()]),
        model,
        NNTrainHyperParams(
            local_batch_size=BATCH_SIZE,
            local_num_epochs=1,
            local_learning_rate=LEARNING_RATE,
            local_max_grad_norm=GRADIENT_CLIP,
        ),
        callbacks=[watch],
        send_metrics_to_platform=False,
    )
    if get_framework_module().distributed.global_rank == 0:
        Done(watch.seconds, norm(list(net.parameters()))).save(out)


if __name__ == "__main__":
    run()
