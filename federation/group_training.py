"""Several clients' part of a round at once: the frozen model sees their batches as one, all else is each one's own."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from federation.args import FederationArgs
from federation.client_states import ClientState
from federation.client_training import ClientTrainer, LocalSteps, TrainedClient, load_adapters
from federation.local_optimizer import LocalOptimizer
from federation.protocols import FederatedModule, GroupedModule
from federation.update import RoundState


def demand_groups(module: FederatedModule, federation: FederationArgs, clients_at_once: int) -> None:
    """Raise ValueError unless a module can train so many clients at once."""
    if clients_at_once < 1:
        raise ValueError(f"`--clients_at_once` must be at least 1. Got {clients_at_once}.")
    if clients_at_once > 1 and (federation.trainable != "adapter" or not hasattr(module, "side_by_side")):
        raise ValueError(
            "`--clients_at_once` above 1 needs `--federation.trainable adapter` and a module with the members of "
            f"`GroupedModule`. Got {clients_at_once}, {federation.trainable} and {type(module).__name__}."
        )


@dataclass
class Member:
    """One client of a group; its adapters are vectors, `shared` (d,) and, if there is one, `personal`."""

    client: str
    adapters: dict[str, Parameter]
    local: LocalOptimizer
    batches: Iterator[Any]
    chance: Tensor
    """State of torch's generator, which goes on from batch to batch as if this client trained alone."""
    losses: list[dict[str, Tensor]] = field(default_factory=list)

    def draw(self, module: GroupedModule) -> Any:
        """Return the next batch with the draws of its step; None if there is no more."""
        batch = next(self.batches, None)
        if batch is None:
            return None
        torch.set_rng_state(self.chance)
        batch = module.on_before_batch_transfer(batch, 0)
        self.chance = torch.get_rng_state()
        return batch


@dataclass
class GroupTrainer:
    """Trains several clients in one module at the same time, each with the result of training alone, up to rounding.

    Losses, gradients, gradient clips, scalers and optimizers are each client's own: where one is not finite, the others
    do not notice. Clients whose batches come to an end leave the group.
    """

    alone: ClientTrainer

    def train(self, state: RoundState, group: Mapping[str, ClientState]) -> list[TrainedClient]:
        """Train clients from the global adapter and their personal states, as `ClientTrainer.train` does each."""
        start = time.perf_counter()
        members = [self._admit(state, client, before) for client, before in group.items()]
        self._take_steps(state, members)
        seconds = (time.perf_counter() - start) / len(members)
        return [self._dismiss(state, member, group[member.client], seconds) for member in members]

    def _admit(self, state: RoundState, client: str, before: ClientState) -> Member:
        """Give a client vectors of its own, and all that it would start from alone."""
        device = self.alone.fabric.device
        joined = before.joined()
        shared = Parameter(state.global_adapter.to(device, copy=True))
        personal = [Parameter(vector.to(device, copy=True)) for vector in joined.personal]
        optimizers = self.alone.module.configure_optimizers({"shared": [shared], "personal": personal})
        joined.restore(personal, optimizers.get("personal"))
        local = self.alone.local_optimizer(optimizers)
        local.scaler = copy.deepcopy(local.scaler)
        batches = iter(self.alone.batches(state, client))
        self.alone.seed_draws(state, client)
        adapters = {"shared": shared} | ({"personal": personal[0]} if personal else {})
        return Member(client, adapters, local, batches, torch.get_rng_state())

    def _take_steps(self, state: RoundState, members: list[Member]) -> None:
        """Take all members' local steps."""
        module = self.alone.module
        module.train()
        for step in count():
            drawn = [(member, batch) for member in members if (batch := member.draw(module)) is not None]
            if not drawn:
                break
            self._step([member for member, _ in drawn], [self.alone.fabric.to_device(batch) for _, batch in drawn])
            for member, _ in drawn:
                self.alone.hooks.call("on_step", state, member.client, step, member.losses[-1])

    def _step(self, members: list[Member], batches: list[Any]) -> None:
        """Take one step of some members: no loss depends on another's adapters, so one backward pass does for all."""
        module = self.alone.module
        adapters = {part: [member.adapters[part] for member in members] for part in members[0].adapters}
        with module.side_by_side(adapters, batches):
            with self.alone.fabric.autocast():
                losses = module.client_losses(batches)
            scaled = [member.local.scale(loss["total"]) for member, loss in zip(members, losses, strict=True)]
            torch.autograd.backward(scaled)
        for member, loss in zip(members, losses, strict=True):
            member.local.step()
            member.losses.append({name: value.detach() for name, value in ({"loss": loss["total"]} | loss).items()})

    def _dismiss(self, state: RoundState, member: Member, before: ClientState, seconds: float) -> TrainedClient:
        """Return a client's result, scored in the module as if it had been trained there."""
        self.alone.demand_batches(member.client, len(member.losses))
        shared = member.adapters["shared"].detach().cpu()
        own = [vector for part, vector in member.adapters.items() if part == "personal"]
        joined = ClientState.capture(own, member.local.optimizers.get("personal"))
        after = joined.split([value.shape for value in before.personal])
        load_adapters(self.alone.module, shared, after)
        steps = LocalSteps(shared - state.global_adapter, after, member.losses, seconds)
        return self.alone.conclude(state, member.client, before, steps)
