"""What a client keeps from round to round and never sends: its personal adapter and that adapter's optimizer state."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from whole_files import whole_file


@dataclass
class ClientState:
    """A client's personal part, on CPU; `optimizer` maps a parameter's position to its state by name."""

    personal: list[Tensor]
    optimizer: dict[int, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def capture(cls, parameters: list[Parameter], optimizer: Optimizer | None = None) -> ClientState:
        """Copy the personal parameters and their optimizer's state."""
        return cls(
            personal=[parameter.detach().to("cpu", copy=True) for parameter in parameters],
            optimizer=_copy(optimizer.state_dict()["state"]) if optimizer is not None else {},
        )

    @torch.no_grad()
    def restore(self, parameters: list[Parameter], optimizer: Optimizer | None = None) -> None:
        """Write the state into the parameters and, if given, into a fresh optimizer, whose settings stay.

        Raises:
            ValueError: If the shapes are not those of the parameters.
        """
        ours, theirs = [tuple(value.shape) for value in self.personal], [tuple(value.shape) for value in parameters]
        if ours != theirs:
            raise ValueError(
                f"A client's state must fit its personal adapter. Got {len(ours)} tensors, shapes differ from the "
                f"module's {len(theirs)}. Use the settings the run was started with."
            )
        for parameter, value in zip(parameters, self.personal, strict=True):
            parameter.copy_(value)
        if optimizer is not None:
            optimizer.load_state_dict({**optimizer.state_dict(), "state": _copy(self.optimizer)})

    def joined(self) -> ClientState:
        """Return the same state as of one parameter, with all of them end to end, or of none."""
        first = self.optimizer.get(0, {})
        merged = {
            name: self._gather(name) if _is_like(first[name], self.personal[0]) else first[name] for name in first
        }
        personal = [torch.cat([value.flatten() for value in self.personal])] if self.personal else []
        return ClientState(personal, {0: merged} if first else {})

    def split(self, shapes: list[torch.Size]) -> ClientState:
        """Return a `joined` state as of parameters of these shapes."""
        if not shapes:
            return ClientState([])
        (whole,), entries = self.personal, self.optimizer.get(0, {})
        optimizer: dict[int, dict[str, Any]] = {position: {} for position in range(len(shapes)) if entries}
        for name, value in entries.items():
            values = _cut(value, shapes) if _is_like(value, whole) else [copy.deepcopy(value) for _ in shapes]
            for position, own in enumerate(values):
                optimizer[position][name] = own
        return ClientState(_cut(whole, shapes), optimizer)

    def _gather(self, name: str) -> Tensor:
        return torch.cat([self.optimizer[position][name].flatten() for position in range(len(self.personal))])

    def save(self, path: Path) -> None:
        """Write the state as safetensors."""
        tensors = {f"personal.{position}": value.contiguous() for position, value in enumerate(self.personal)}
        numbers: dict[str, float] = {}
        for position, values in self.optimizer.items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{position}.{name}"] = value.contiguous()
                else:
                    numbers[f"optimizer.{position}.{name}"] = value
        with whole_file(path) as partial:
            save_file(tensors, partial, metadata={"numbers": json.dumps(numbers)})

    @classmethod
    def load(cls, path: Path) -> ClientState:
        """Read a state that `save` wrote."""
        with safe_open(path, framework="pt") as file:
            entries: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}
            entries |= json.loads((file.metadata() or {}).get("numbers", "{}"))
        count = sum(name.startswith("personal.") for name in entries)
        state = cls(personal=[entries.pop(f"personal.{position}") for position in range(count)])
        for name, value in entries.items():
            _, position, key = name.split(".", 2)
            state.optimizer.setdefault(int(position), {})[key] = value
        return state


def _copy(state: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return an optimizer's state on CPU that shares no memory: optimizers step in place."""
    return {
        position: {
            name: value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value
            for name, value in values.items()
        }
        for position, values in state.items()
    }


def _is_like(value: Any, parameter: Tensor) -> bool:
    """Whether an optimizer keeps a value for each element of a parameter, unlike the number of its steps."""
    return isinstance(value, Tensor) and value.shape == parameter.shape


def _cut(vector: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
    pieces = vector.split([shape.numel() for shape in shapes])
    return [piece.reshape(shape).clone() for piece, shape in zip(pieces, shapes, strict=True)]
