"""The loop of rounds: clients train, the pipeline guards what leaves, the sum moves the global adapter."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lightning.fabric import Fabric
from torch import Tensor

from federation.aggregation import server_step
from federation.agreed_settings import AgreedSettings
from federation.checkpoints import RoundFolders
from federation.client_states import ClientState
from federation.client_training import ClientTrainer, load_adapters
from federation.cohort import Cohort, RoundRefusedError
from federation.exchange import agree, exchange_messages, wait_for_all
from federation.fingerprint import fingerprint_frozen
from federation.hooks import FederationCallback, Hooks
from federation.local_cohort import LocalCohort
from federation.local_states import LocalStates
from federation.preparation import prepare_module
from federation.protocols import FederatedData, FederatedModule
from federation.server_state import ServerState
from federation.update import RoundState
from federation.vectors import read_vector

MOST_REFUSALS = 10
"""Attempts in a row that may be refused before a run gives up."""


class FederatedRounds:
    """Runs the rounds of a federation, on this machine's devices or on people's own.

    Args:
        fabric: Launched. More than one device needs `strategy="client_parallel"`.
        module: Trained in place, one per device; rank 0's initial weights are given to all devices.
        data: The clients' clips, already set up.
        agreed: Rounds, local steps, how updates are averaged, the first clip norm and how it moves. With privacy
            enabled, the pipeline leaves uint32 residues in `update.wire`; else the float64 `vector` is summed.
        pipeline: See `pipeline.build_pipeline`: client halves run in its order, server halves in reverse.
        observers: Everything else; called after the pipeline at each hook.
        checkpoint_dir: Folder of the round folders, e.g. `runs/demo/checkpoints`.
        seed: All training draws derive from it; keys and noise never do.
        resume: Continue after the newest committed round, if any; otherwise `checkpoint_dir` must hold none.
        remote: The clients' devices, if they are elsewhere; then `data` only names the clients, client halves run
            there, and `pipeline` is the server's.
        clients_at_once: Clients that a device trains in one batch, if `module` is a `GroupedModule`; the results are
            those of training them one by one, up to rounding.

    Raises:
        ValueError: On another multi-device strategy, adapters that are not float32, or a folder that does not fit.
    """

    def __init__(
        self,
        fabric: Fabric,
        module: FederatedModule,
        data: FederatedData,
        agreed: AgreedSettings,
        *,
        pipeline: Sequence[FederationCallback],
        observers: Sequence[FederationCallback],
        checkpoint_dir: str | Path,
        seed: int = 0,
        resume: bool = False,
        remote: Cohort | None = None,
        clients_at_once: int = 1,
    ) -> None:
        self.fabric = fabric
        self.data = data
        self.agreed = agreed
        self.rounds = agreed.federation.rounds
        self.hooks = Hooks(list(pipeline), list(observers))
        self.refusals = 0
        self.module = prepare_module(fabric, module)
        self.folders = RoundFolders(checkpoint_dir)
        self.states = LocalStates(self.folders, ClientState.capture(self.module.personal_parameters()))
        if remote is not None:
            self.cohort = remote
        else:
            trainer = ClientTrainer(fabric, self.module, data, agreed.federation, agreed.aggregation, seed, self.hooks)
            self.cohort = LocalCohort(trainer, self.states, self.hooks, clients_at_once)
        start = read_vector(self.module.shared_parameters())
        fresh = ServerState(0, start, agreed.privacy.clip_norm, seed, fingerprint_frozen(self.module))
        if fabric.is_global_zero:
            self.folders.clean()
        wait_for_all()
        self.server = self.folders.open(fresh, resume)
        if self.server.rounds_done > self.rounds:
            done = self.server.rounds_done
            raise ValueError(
                f"`--federation.rounds` must be at least {done}, the rounds that are done. Got {self.rounds}."
            )

    def run(self) -> RoundState:
        """Run the rounds that are left and return the last state, whose `stop` says whether a hook ended the run."""
        state = self._new_state()
        self.hooks.call("on_run_start", state)
        self.server.notes = state.notes
        while self.server.rounds_done < self.rounds and not state.stop:
            state = self._new_state()
            try:
                self._run_round(state)
            except RoundRefusedError as refusal:
                self._give_up(state, refusal)
        self.hooks.call("on_run_end", state)
        if state.is_main:
            self.folders.prune()
        wait_for_all()
        return state

    def _run_round(self, state: RoundState) -> None:
        """Run one round up to its commit; a stop before the sum leaves everything as it was."""
        start = time.perf_counter()
        if state.is_main:
            self.folders.begin(state.index + 1)
        self.hooks.call("on_round_start", state)
        agree(state)
        if state.is_main:
            self.folders.prune()  # while the others train
        if not state.stop:
            self.cohort.collect(state)
        if not state.stop:
            self.hooks.call("on_release", state)
            agree(state)
        if state.stop:
            if state.is_main:
                self.folders.abandon(state.index + 1)
            return
        state.global_adapter, velocity = self._step_server(state)
        self._commit(state, velocity)
        state.metrics["released/seconds"] = time.perf_counter() - start
        self.hooks.call("on_round_end", state)
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

    def _step_server(self, state: RoundState) -> tuple[Tensor, Tensor | None]:
        """Form the sum, undo the pipeline and return the next global adapter and velocity, shape (d,) each.

        An empty cohort moves neither.

        Every device computes the same step from the same sum.
        """
        aggregate = self.cohort.release(state)
        if not state.clients:
            state.metrics["released/step_norm"] = 0.0
            return state.global_adapter, self.server.velocity
        self.hooks.aggregate(state, aggregate)
        if aggregate.direction is None:
            raise RuntimeError("The pipeline must set `Aggregate.direction`. Got None. Add a stage that averages.")
        moved, velocity = server_step(
            state.global_adapter, aggregate.direction, self.server.velocity, self.agreed.aggregation
        )
        state.metrics["released/step_norm"] = float((moved - state.global_adapter).norm())
        return moved, velocity

    def _commit(self, state: RoundState, velocity: Tensor | None) -> None:
        """Make the round the newest one; no device goes on before."""
        self.refusals = 0
        self.server = replace(
            self.server,
            rounds_done=state.index + 1,
            global_adapter=state.global_adapter,
            clip_norm=state.clip_norm_after,
            velocity=velocity,
            notes=state.notes,
        )
        if state.is_main:
            self.folders.commit(self.server)
        wait_for_all()

    def _new_state(self) -> RoundState:
        """Return the state of the next round."""
        state = RoundState(
            index=self.server.rounds_done,
            clients=tuple(self.data.clients),
            global_adapter=self.server.global_adapter,
            clip_norm=self.server.clip_norm,
            exchange=exchange_messages,
            is_main=self.fabric.is_global_zero,
            masked=self.agreed.privacy.enabled,
            notes=dict(self.server.notes),
            clipping=self.agreed.clipping,
        )
        state.load_adapters = lambda client: self._load_adapters(state.global_adapter, client)
        return state

    def _load_adapters(self, global_adapter: Tensor, client: str | None) -> None:
        """Put the global adapter and a client's newest personal one into this device's module; None is a newcomer."""
        newcomer = self.states.newcomer
        personal = newcomer if client is None else self.states.newest(client, self.server.rounds_done)
        load_adapters(self.module, global_adapter, personal)
