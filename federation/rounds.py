"""The loop of rounds: clients train, the pipeline guards what leaves, the sum moves the global adapter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightning.fabric import Fabric

from federation.args import AggregationArgs, FederationArgs
from federation.hooks import FederationCallback
from federation.protocols import FederatedData, FederatedModule
from federation.update import RoundState


class FederatedRounds:
    """Runs the rounds of a federation on this machine's devices.

    Args:
        fabric: Launched. More than one device needs `strategy="client_parallel"`.
        module: Trained in place, one per device; rank 0's initial weights are given to all devices.
        data: The clients' clips, already set up.
        federation: Rounds, local steps, clips of gradients, aggregation.
        aggregation: FedProx's mu and the server's step.
        pipeline: ISFA, (sampling,) clip, noise, mask: client halves run in this order, server halves in reverse.
        observers: Everything else; called after the pipeline at each hook.
        checkpoint_dir: Folder of the round folders, e.g. `runs/demo/checkpoints`.
        seed: All training draws derive from it; keys and noise never do.
        clip_norm: S of the first round; a hook may change `state.clip_norm`, which carries over to the next round.
        private: Whether the pipeline leaves uint32 residues in `update.wire`. False: the float64 `vector` is summed.
        resume: Continue after the newest committed round; otherwise `checkpoint_dir` must hold none.

    Raises:
        ValueError: On settings out of range, another multi-device strategy, 16-mixed on CPU, or a folder that does
            not fit.
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
    ) -> None: ...

    def run(self) -> RoundState:
        """Run the rounds that are left and return the last state (metrics, `global_adapter`, `stop`)."""
