"""The training alone: each process trains its share of the clients in a loop, and nobody times how they average.

`torchrun --standalone --nproc_per_node=N -m benchmarks.engines.bare WORK OUT`. A round's seconds are the mean of the
processes': what a round would last if nothing but training took time and no process waited for another.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor, distributed

from benchmarks.engines.work import Done, Work, make_net, norm, read_arguments, take_steps


class BareLoop:
    """Federated averaging on one process's share of the clients."""

    def __init__(self, work: Work) -> None:
        self.work, self.net = work, make_net(work.width)
        self.share = work.names[distributed.get_rank() :: work.processes]

    @torch.no_grad()
    def parameters(self) -> Tensor:
        """Return all parameters as one vector."""
        return torch.cat([parameter.flatten() for parameter in self.net.parameters()])

    @torch.no_grad()
    def load(self, start: Tensor) -> None:
        """Copy a vector into the parameters."""
        values = start.split([parameter.numel() for parameter in self.net.parameters()])
        for parameter, value in zip(self.net.parameters(), values, strict=True):
            parameter.copy_(value.view_as(parameter))

    def run_round(self, start: Tensor) -> tuple[Tensor, float]:
        """Return the next global parameters and the seconds of training."""
        began = time.perf_counter()
        total = torch.zeros_like(start)
        for client in self.share:
            self.load(start)
            take_steps(self.net, self.work.batches(client))
            total += self.parameters() - start
        seconds = torch.tensor(time.perf_counter() - began)
        for shared in (total, seconds):
            distributed.all_reduce(shared)
        return start + total / self.work.clients, seconds.item() / self.work.processes


def run() -> None:
    """Run the rounds and write what they took."""
    work, out = read_arguments()
    distributed.init_process_group("gloo")
    loop, seconds = BareLoop(work), []
    state = loop.parameters()
    for _ in range(work.rounds):
        state, took = loop.run_round(state)
        seconds.append(took)
    if distributed.get_rank() == 0:
        Done(seconds, norm([state])).save(out)
    distributed.destroy_process_group()


if __name__ == "__main__":
    run()
