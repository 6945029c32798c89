"""A round's cohort on this machine: each device trains the clients it is handed, and their vectors are added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from federation.assignment import form_groups, hand_out, longest_first
from federation.client_training import ClientTrainer, TrainedClient
from federation.cohort import Cohort
from federation.exchange import WireSum, gather
from federation.group_training import GroupTrainer
from federation.hooks import Hooks
from federation.local_states import LocalStates
from federation.update import Aggregate, ClientUpdate, RoundState


@dataclass
class LocalCohort(Cohort):
    """Clients that this machine's devices train; it refuses no round."""

    trainer: ClientTrainer
    states: LocalStates
    hooks: Hooks
    clients_at_once: int = 1
    seconds: dict[str, float] = field(default_factory=dict, init=False)
    """How long each client took when it last trained."""
    _sum: WireSum | None = field(default=None, init=False)
    _masked: list[ClientUpdate] = field(default_factory=list, init=False)
    """What may join the sum only when it is paid for."""

    def collect(self, state: RoundState) -> None:
        """Train the clients this device is handed and take their updates through the client half; masks come last."""
        updates = []
        self._sum = WireSum(state)
        ordered = longest_first(state.clients, self.seconds, self.trainer.data.num_examples)
        for group in hand_out(form_groups(ordered, self.clients_at_once, self.trainer.fabric.world_size)):
            for trained in self._train(state, group):
                self.states.keep(trained.update.client, trained.personal, state.index + 1)
                self.hooks.call("on_client_update", state, trained.update)
                if not state.masked:
                    self._sum.add(trained.update)
                trained.update.free_vectors()
                updates.append(trained.update)
        updates.sort(key=lambda update: update.client)
        self.hooks.call("on_cohort_ready", state, updates)
        self._masked = updates if state.masked else []
        self._gather_metrics(state, updates)

    def release(self, state: RoundState) -> Aggregate:
        """Return the sum over all devices."""
        for update in self._masked:
            self._sum.add(update)
        self._masked = []
        return self._sum.over_devices(self.trainer.fabric)

    def _train(self, state: RoundState, group: Sequence[str]) -> list[TrainedClient]:
        """Train one client, or several at once."""
        before = {client: self.states.newest(client, state.index) for client in group}
        if len(group) == 1:
            (client,) = group
            return [self.trainer.train(state, client, before[client])]
        return GroupTrainer(self.trainer).train(state, before)

    def _gather_metrics(self, state: RoundState, updates: list[ClientUpdate]) -> None:
        """Collect the devices' views of themselves: `local/<name>/<client>` and the mean `local/<name>`."""
        everybody = {
            client: metrics
            for part in gather({u.client: u.metrics for u in updates})
            for client, metrics in part.items()
        }
        for client, metrics in sorted(everybody.items()):
            self.seconds[client] = metrics["seconds"]
            state.metrics |= {f"local/{name}/{client}": value for name, value in metrics.items()}
        for name in sorted({name for metrics in everybody.values() for name in metrics}):
            values = [metrics[name] for _, metrics in sorted(everybody.items()) if name in metrics]
            state.metrics[f"local/{name}"] = sum(values) / len(values)
