"""The loop of rounds: clients train, the pipeline guards what leaves, the sum moves the global adapter."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lightning.fabric import Fabric
from torch import Tensor

from federation.aggregation import ServerOptimizer
from federation.args import AggregationArgs, FederationArgs
from federation.assignment import form_groups, hand_out, longest_first
from federation.checkpoints import RoundFolders, ServerState
from federation.client_states import ClientState
from federation.client_training import ClientTrainer, TrainedClient
from federation.exchange import exchange_messages, gather, sum_wires, wait_for_all
from federation.group_training import GroupTrainer
from federation.hooks import FederationCallback
from federation.preparation import fingerprint_frozen, prepare_module
from federation.protocols import FederatedData, FederatedModule
from federation.remote import RemoteCohort, RoundRefusedError
from federation.update import ClientUpdate, RoundState
from federation.vectors import read_vector

MOST_REFUSALS = 10
"""Attempts in a row that may be refused before a run gives up."""


class FederatedRounds:
    """Runs the rounds of a federation, on this machine's devices or on people's own.

    Args:
        fabric: Launched. More than one device needs `strategy="client_parallel"`.
        module: Trained in place, one per device; rank 0's initial weights are given to all devices.
        data: The clients' clips, already set up.
        federation: Rounds, local steps, gradient clips, aggregation.
        aggregation: FedProx's mu and the server's step.
        pipeline: ISFA, sampling, clip, noise, mask: client halves run in this order, server halves in reverse.
        observers: Everything else; called after the pipeline at each hook.
        checkpoint_dir: Folder of the round folders, e.g. `runs/demo/checkpoints`.
        seed: All training draws derive from it; keys and noise never do.
        clip_norm: S of the first round; a hook may change `state.clip_norm`, which carries over to the next round.
        private: Whether the pipeline leaves uint32 residues in `update.wire`. False: the float64 `vector` is summed.
        resume: Continue after the newest committed round, if any; otherwise `checkpoint_dir` must hold none.
        remote: The clients' devices, if they are elsewhere; then `data` only names the clients, client halves run
            there, and `pipeline` is the server's.
        clients_at_once: Clients that a device trains in one batch, if `module` is a `GroupedModule`; results are those
            of 1, up to rounding.

    Raises:
        ValueError: On another multi-device strategy, adapters that are not float32, or a folder that does not fit.
    """

    def __init__(
        self,
        fabric: Fabric,
        module: FederatedModule,
        data: FederatedData,
        *,
        federation: FederationArgs,
        aggregation: AggregationArgs,
        pipeline: Sequence[FederationCallback],
        observers: Sequence[FederationCallback],
        checkpoint_dir: str | Path,
        seed: int = 0,
        clip_norm: float = 1.0,
        private: bool = True,
        resume: bool = False,
        remote: RemoteCohort | None = None,
        clients_at_once: int = 1,
    ) -> None:
        self.remote, self.refusals, self.clients_at_once = remote, 0, clients_at_once
        self.fabric, self.data, self.rounds, self.private = fabric, data, federation.rounds, private
        self.pipeline, self.observers = list(pipeline), list(observers)
        self.module = prepare_module(fabric, module)
        self.trainer = ClientTrainer(fabric, self.module, data, federation, aggregation, seed, self._on_step)
        self.folders = RoundFolders(checkpoint_dir)
        self.optimizer = ServerOptimizer(aggregation.server_learning_rate, aggregation.server_momentum)
        self.newcomer = ClientState.capture(self.module.personal_parameters())
        self.seconds: dict[str, float] = {}
        start = read_vector(self.module.shared_parameters())
        fresh = ServerState(0, start, clip_norm, seed, fingerprint_frozen(self.module))
        self.server = self._open(fresh, resume)
        self.optimizer.velocity = self.server.velocity

    def run(self) -> RoundState:
        """Run the rounds that are left and return the last state, whose `stop` says whether a hook ended the run."""
        state = self._new_state()
        self._call("on_run_start", state)
        self.server.notes = state.notes
        while self.server.rounds_done < self.rounds and not state.stop:
            state = self._new_state()
            try:
                self._run_round(state)
            except RoundRefusedError as refusal:
                self._give_up(state, refusal)
        self._call("on_run_end", state)
        wait_for_all()
        return state

    def _run_round(self, state: RoundState) -> None:
        """Run one round up to its commit; a stop before the sum leaves everything as it was."""
        start = time.perf_counter()
        if state.is_main:
            self.folders.begin(state.index + 1)
        self._call("on_round_start", state)
        self._agree(state)
        updates = [] if state.stop else self._collect(state)
        if not state.stop:
            self._call("on_release", state)
            self._agree(state)
        if state.stop:
            self.folders.abandon(state.index + 1) if state.is_main else None
            return
        state.global_adapter = self._step_server(state, updates)
        self._commit(state)
        state.metrics["released/seconds"] = time.perf_counter() - start
        self._call("on_round_end", state)
        self.server.notes = state.notes

    def _give_up(self, state: RoundState, refusal: RoundRefusedError) -> None:
        """Leave everything as before the attempt, and let a later one follow unless too many were refused in a row."""
        self.folders.abandon(state.index + 1)
        self.refusals += 1
        print(f"Round {state.index + 1}, attempt {state.attempt + 1}, is refused: {refusal}", flush=True)
        if self.refusals >= MOST_REFUSALS:
            raise ValueError(
                f"{self.refusals} attempts in a row were refused. Go on with `--resume` when enough devices are there. "
                "Why one refuses is in its own log."
            ) from refusal

    def _collect(self, state: RoundState) -> list[ClientUpdate]:
        """Have the cohort train; what devices elsewhere have to say stays with `remote` until it is released."""
        if self.remote is None:
            return self._train_cohort(state)
        self.remote.collect(state)
        return []

    def _train_cohort(self, state: RoundState) -> list[ClientUpdate]:
        """Train the clients this device is handed and return their updates in roster order."""
        updates = []
        ordered = longest_first(state.clients, self.seconds, self.data.num_examples)
        for group in hand_out(form_groups(ordered, self.clients_at_once, self.fabric.world_size)):
            for trained in self._train(state, group):
                if self.newcomer.personal:
                    trained.personal.save(self.folders.new_client_file(trained.update.client, state.index + 1))
                self._call("on_client_update", state, trained.update)
                updates.append(trained.update)
        updates.sort(key=lambda update: update.client)
        self._call("on_cohort_ready", state, updates)
        self._gather_metrics(state, updates)
        return updates

    def _train(self, state: RoundState, group: Sequence[str]) -> list[TrainedClient]:
        """Train one client, or several at once."""
        if len(group) == 1:
            return [self.trainer.train(state, group[0], self._personal(group[0]))]
        return GroupTrainer(self.trainer).train(state, {client: self._personal(client) for client in group})

    def _step_server(self, state: RoundState, updates: list[ClientUpdate]) -> Tensor:
        """Form the sum, undo the pipeline and return the next global adapter; an empty cohort moves nothing.

        Every device computes the same step from the same sum.
        """
        aggregate = self.remote.release(state) if self.remote else sum_wires(self.fabric, state, updates)
        if not state.clients:
            state.metrics["released/step_norm"] = 0.0
            return state.global_adapter
        for hook in [*reversed(self.pipeline), *self.observers]:
            hook.on_aggregate(state, aggregate)
        if aggregate.direction is None:
            raise RuntimeError("The pipeline must set `Aggregate.direction`. Got None. Add a stage that averages.")
        moved = self.optimizer.step(state.global_adapter, aggregate.direction)
        state.metrics["released/step_norm"] = float((moved - state.global_adapter).norm())
        return moved

    def _agree(self, state: RoundState) -> None:
        """Take over what rank 0's hooks have decided; a stop on any device stops all."""
        decisions = gather((state.stop, state.clients, state.clip_norm, state.attempt, state.notes))
        _, state.clients, state.clip_norm, state.attempt, state.notes = decisions[0]
        state.stop = any(decision[0] for decision in decisions)

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

    def _commit(self, state: RoundState) -> None:
        """Make the round the newest one; no device goes on before."""
        self.refusals = 0
        self.server = replace(
            self.server,
            rounds_done=state.index + 1,
            global_adapter=state.global_adapter,
            clip_norm=state.clip_norm,
            velocity=self.optimizer.velocity,
            notes=state.notes,
        )
        if state.is_main:
            self.folders.commit(self.server, self.data.clients)
        wait_for_all()

    def _open(self, fresh: ServerState, resume: bool) -> ServerState:
        """Return the state to start from: the newest committed round's, or a fresh one."""
        if self.fabric.is_global_zero:
            self.folders.clean()
        wait_for_all()
        latest = self.folders.latest()
        if latest is None:
            return fresh
        if not resume:
            raise ValueError(
                f"`{self.folders.root}` must hold no rounds for a new run. Got {latest.rounds_done} rounds. Continue "
                "with `--resume`, or choose another `--out_dir`."
            )
        latest.demand_fit(fresh)
        return latest

    def _new_state(self) -> RoundState:
        """Return the state of the next round."""
        state = RoundState(
            index=self.server.rounds_done,
            seed=self.server.seed,
            clients=tuple(self.data.clients),
            global_adapter=self.server.global_adapter,
            clip_norm=self.server.clip_norm,
            exchange=exchange_messages,
            is_main=self.fabric.is_global_zero,
            private=self.private,
            notes=dict(self.server.notes),
        )
        state.load_adapters = lambda client: self.trainer.load(state.global_adapter, self._personal(client))
        return state

    def _personal(self, client: str | None) -> ClientState:
        """Return a client's newest personal state; a newcomer's where there is none."""
        path = self.folders.client_file(client, self.server.rounds_done) if client is not None else None
        return ClientState.load(path) if path is not None else self.newcomer

    def _on_step(self, state: RoundState, client: str, step: int, losses: dict[str, Tensor]) -> None:
        self._call("on_step", state, client, step, losses)

    def _call(self, hook: str, *args: object) -> None:
        for callback in [*self.pipeline, *self.observers]:
            getattr(callback, hook)(*args)
