"""All that the server carries from round to round, as a folder of two files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

FROZEN = "backbone"
"""Name of the frozen part's hash in `server.json`."""


@dataclass
class ServerState:
    """Where a run stands after a round."""

    rounds_done: int
    global_adapter: Tensor
    """Shape (d,), float32."""
    clip_norm: float
    seed: int
    frozen_hash: str
    """Of everything that is frozen; a run can only go on with the same."""
    velocity: Tensor | None = None
    """Momentum of the server step, shape (d,)."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What hooks carry along, e.g. the head of the privacy ledger."""

    def demand_fit(self, fresh: ServerState) -> None:
        """Refuse to go on from here with another model or seed than `fresh` has.

        Raises:
            ValueError: If they differ.
        """
        for what, ours, theirs in (
            ("seed", self.seed, fresh.seed),
            ("size of the global adapter", self.global_adapter.numel(), fresh.global_adapter.numel()),
            ("frozen part of the model", self.frozen_hash, fresh.frozen_hash),
        ):
            if ours != theirs:
                raise ValueError(
                    f"The {what} must be the one the run was started with, {ours}. Got {theirs}. Use the run's own "
                    "config, or start anew in another `--out_dir`."
                )

    def save(self, folder: Path) -> None:
        """Write `server.safetensors` and `server.json` into a folder."""
        tensors = {"global_adapter": self.global_adapter}
        if self.velocity is not None:
            tensors["velocity"] = self.velocity
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "server.safetensors")
        fields = {
            "rounds_done": self.rounds_done,
            "clip_norm": self.clip_norm,
            "seed": self.seed,
            FROZEN: self.frozen_hash,
            "notes": self.notes,
        }
        (folder / "server.json").write_text(json.dumps(fields, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> ServerState:
        """Read what `save` wrote."""
        tensors = load_file(folder / "server.safetensors")
        fields = json.loads((folder / "server.json").read_text())
        return cls(
            frozen_hash=fields.pop(FROZEN),
            **fields,
            global_adapter=tensors["global_adapter"],
            velocity=tensors.get("velocity"),
        )
