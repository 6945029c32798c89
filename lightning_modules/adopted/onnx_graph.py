"""The operations of a convolutional ONNX network in torch, so that it runs on any device and gradients go through it.

Face recognition networks use a dozen of ONNX's operations. They are done here, so that no converter with dependencies
of its own is needed, and ONNX itself only once: a network is read when a base model is assembled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Node = dict[str, Any]
"""`op`, names of `inputs` ("" where one is left out), name of its one `output`, and its `attributes`."""


@dataclass(frozen=True)
class Graph:
    """A network as it is read from a file."""

    nodes: list[Node]
    """In an order in which they can be computed."""
    weights: dict[str, Tensor]
    picture: str
    """Name of what goes in."""
    features: str
    """Name of what comes out."""


def read_graph(path: Path) -> Graph:
    """Read an ONNX file of one input and one output; every tensor gets a short name.

    Raises:
        ValueError: If it is no such file, or holds operations that are not done here.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path).graph
    except DecodeError as error:
        raise ValueError(f"{path} is no ONNX file.") from error
    computed = [node for node in graph.node if node.op_type != "Constant"]
    if unknown := sorted({node.op_type for node in computed} - OPERATIONS.keys()):
        raise ValueError(f"{path} uses {', '.join(unknown)}. Known are {', '.join(OPERATIONS)}.")
    constants = {node.output[0]: node.attribute[0] for node in graph.node if node.op_type == "Constant"}
    if other := sorted({constant.name for constant in constants.values()} - {"value"}):
        raise ValueError(f"{path} has constants of {', '.join(other)}. Known are tensors.")
    stored = {weight.name: weight for weight in graph.initializer}
    stored |= {name: constant.t for name, constant in constants.items()}
    inputs = [value.name for value in graph.input if value.name not in stored]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ValueError(f"{path} must have one input and one output. Got {len(inputs)} and {len(graph.output)}.")
    every = [*inputs, *stored, *(name for node in computed for name in node.output)]
    short = {"": ""} | {name: f"t{number}" for number, name in enumerate(dict.fromkeys(every))}
    values = {name: torch.tensor(onnx.numpy_helper.to_array(weight)) for name, weight in stored.items()}
    nodes = []
    for node in computed:
        attributes = {one.name: _plain(onnx.helper.get_attribute_value(one)) for one in node.attribute}
        names = list(node.input)
        if node.op_type == "Reshape":  # sizes are no weights, which are stored in 16 bit
            attributes["sizes"] = values[names.pop()].tolist()
        given = [short[name] for name in names]
        nodes.append({"op": node.op_type, "inputs": given, "output": short[node.output[0]], "attributes": attributes})
    read = {name for node in nodes for name in node["inputs"]}
    weights = {short[name]: value for name, value in values.items() if short[name] in read}
    return Graph(nodes, weights, short[inputs[0]], short[graph.output[0].name])


def run_graph(nodes: Sequence[Node], weights: Mapping[str, Tensor], values: dict[str, Tensor], wanted: str) -> Tensor:
    """Compute one tensor of a graph.

    Args:
        nodes: Of the graph.
        weights: By name.
        values: What goes in, by name. Each tensor is let go after its last use.
        wanted: Name of what is to be returned.
    """
    last = {name: number for number, node in enumerate(nodes) for name in node["inputs"]}
    for number, node in enumerate(nodes):
        arguments = [
            None if not name else weights[name] if name in weights else values[name] for name in node["inputs"]
        ]
        values[node["output"]] = OPERATIONS[node["op"]](*arguments, **node["attributes"])
        for name in node["inputs"]:
            if last[name] == number:
                values.pop(name, None)
    return values[wanted]


def _plain(value: Any) -> Any:
    """Return an attribute as JSON can hold it."""
    return value.decode() if isinstance(value, bytes) else list(value) if isinstance(value, Sequence) else value


def _convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    group: int = 1,
    kernel_shape: Sequence[int] = (),
    auto_pad: str = "NOTSET",
) -> Tensor:
    if auto_pad != "NOTSET":
        raise ValueError(f"A convolution's padding must be written out. Got auto_pad {auto_pad}.")
    top, left, bottom, right = pads
    padded = F.pad(x, (left, right, top, bottom)) if any(pads) else x
    return F.conv2d(padded, weight, bias, tuple(strides), 0, tuple(dilations), group)


def _normalise(
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *, epsilon: float = 1e-5, **_: Any
) -> Tensor:
    return F.batch_norm(x, mean, variance, scale, bias, training=False, eps=epsilon)


def _multiply(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1,
    beta: float = 1,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    product = alpha * (a.mT if transA else a) @ (b.mT if transB else b)
    return product if c is None else product + beta * c


def _reshape(x: Tensor, *, sizes: Sequence[int], allowzero: int = 0) -> Tensor:
    """Leave the first axis, that of pictures, as it is: many a network was exported for a single one."""
    kept = [x.shape[axis] if size == 0 and not allowzero else size for axis, size in enumerate(sizes)]
    return x.reshape(len(x), *kept[1:])


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "Add": torch.add,
    "BatchNormalization": _normalise,
    "Conv": _convolve,
    "Dropout": lambda x, *_, **__: x,
    "Flatten": lambda x, *, axis=1: x.flatten(axis),
    "Gemm": _multiply,
    "GlobalAveragePool": lambda x: x.mean(dim=(-2, -1), keepdim=True),
    "Identity": lambda x: x,
    "MatMul": torch.matmul,
    "Mul": torch.mul,
    "PRelu": lambda x, slope: torch.where(x > 0, x, slope * x),
    "Relu": torch.relu,
    "Reshape": _reshape,
    "Sub": torch.sub,
}
"""What a graph may be made of, by ONNX's name; always as in inference."""
