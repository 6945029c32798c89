"""Who a face is, by a recognition network of an insightface pack, brought from ONNX into torch."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.adopted.onnx_graph import Node, read_graph, run_graph
from lightning_modules.resizing import resize

SIZE = 112
"""Height and width of the pictures that these networks take, pixels."""
DIM = 512
"""Of the embeddings that they give."""
TOLERANCE = 1e-3
"""By how much an entry of a unit embedding may differ between torch and onnxruntime."""


class ArcFace(ModelMixin, ConfigMixin):
    """An ArcFace network (Deng et al., arXiv 1801.07698) as face encoder.

    Faces are not aligned by landmarks: a turned or shifted head scores lower than with insightface's own pipeline.

    Args:
        nodes: The network, see `onnx_graph`.
        shapes: Of its weights, by name.
        picture: Name of what goes in.
        features: Name of what comes out.
        unit_range: Whether it takes pictures in [-1, 1]; else it takes [0, 255].
        middle: Share of a frame's side that it is shown: our frames are 1.7 faces wide, its pictures about 1.1.
        embedding_dim: Of what comes out.
    """

    @register_to_config
    def __init__(
        self,
        nodes: list[Node],
        shapes: dict[str, list[int]],
        picture: str,
        features: str,
        unit_range: bool = True,
        middle: float = 0.65,
        embedding_dim: int = DIM,
    ) -> None:
        super().__init__()
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))  # no parameters: nothing here is ever trained

    def forward(self, frames: Tensor) -> Tensor:
        """Embed frames (batch, 3, height, width) in [-1, 1] as unit vectors (batch, 512)."""
        height, width = frames.shape[-2:]
        rows, columns = (round((1 - self.config.middle) / 2 * side) for side in (height, width))
        faces = frames[..., rows : height - rows, columns : width - columns]
        return self.embed_faces(resize(faces, SIZE))

    def embed_faces(self, faces: Tensor) -> Tensor:
        """Embed pictures (batch, 3, 112, 112) in [-1, 1] that are cropped like those the network learned from."""
        inputs = {self.config.picture: faces if self.config.unit_range else (faces + 1) * 127.5}
        return F.normalize(
            run_graph(self.config.nodes, dict(self.named_buffers()), inputs, self.config.features), dim=-1
        )


def read_arcface(given: Path) -> ArcFace:
    """Read a recognition network and make sure that it gives in torch what it gives in onnxruntime.

    Args:
        given: The ONNX file, or the folder of a pack, which has several.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it cannot be read, or gives something else in torch.
    """
    path = find_recognition(given)
    graph = read_graph(path)
    shapes = {name: list(weight.shape) for name, weight in graph.weights.items()}
    # insightface tells by this, too: networks that came from MXNet scale their pictures themselves.
    scales_itself = {"Sub", "Mul"} <= {node["op"] for node in graph.nodes[:8]}
    encoder = ArcFace(graph.nodes, shapes, graph.picture, graph.features, unit_range=not scales_itself)
    encoder.load_state_dict(graph.weights)
    _compare(encoder.eval(), path)
    return encoder


def find_recognition(given: Path) -> Path:
    """Return the file whose network turns (3, 112, 112) into 512 numbers."""
    from onnxruntime import InferenceSession

    for path in [given] if given.is_file() else sorted(given.glob("*.onnx")):
        try:
            session = InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no class in common
            raise ValueError(f"{path} cannot be read: {error}") from error
        shapes = [value.shape[1:] for value in (*session.get_inputs(), *session.get_outputs())]
        if shapes == [[3, SIZE, SIZE], [DIM]]:
            return path
    raise FileNotFoundError(f"No recognition network in {given}: it takes (3, {SIZE}, {SIZE}) and gives {DIM} numbers.")


@torch.no_grad()
def _compare(encoder: ArcFace, path: Path) -> None:
    from onnxruntime import InferenceSession

    faces = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    pictures = faces if encoder.config.unit_range else (faces + 1) * 127.5
    (features,) = session.run(None, {session.get_inputs()[0].name: pictures.numpy()})
    expected = F.normalize(torch.from_numpy(features), dim=-1)
    difference = (encoder.embed_faces(faces) - expected).abs().max().item()
    if not difference <= TOLERANCE:
        raise ValueError(
            f"{path} gives something else in torch than in onnxruntime: embeddings are {difference} apart."
        )
