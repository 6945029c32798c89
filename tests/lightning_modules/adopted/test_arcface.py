"""A recognition network gives in torch what it gives in onnxruntime, and gradients go through it."""

import copy

import pytest
import torch
from torch.nn import functional as F

from lightning_modules.adopted.arcface import TOLERANCE, read_arcface
from lightning_modules.adopted.onnx_graph import read_graph, run_graph
from tests.tiny_checkpoint import make_face_pack, write_network


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return make_face_pack(tmp_path_factory.mktemp("insightface") / "pack")


@pytest.fixture(scope="module")
def encoder(pack):
    return read_arcface(pack)


def _by_onnxruntime(path, pictures):
    from onnxruntime import InferenceSession

    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    (features,) = session.run(None, {session.get_inputs()[0].name: pictures.numpy()})
    return F.normalize(torch.from_numpy(features), dim=-1)


@pytest.mark.slow
def test_torch_and_onnxruntime_agree(pack, encoder):
    faces = torch.rand(3, 3, 112, 112) * 2 - 1
    expected = _by_onnxruntime(pack / "w600k_r50.onnx", faces)
    torch.testing.assert_close(encoder.embed_faces(faces), expected, atol=1e-5, rtol=1e-4)
    assert (expected[0] - expected[1]).abs().max() > 10 * TOLERANCE


@pytest.mark.slow
def test_a_network_that_scales_its_pictures_is_given_pixels(tmp_path):
    path = write_network(tmp_path / "old.onnx", scales_itself=True)
    faces = torch.rand(2, 3, 112, 112) * 2 - 1
    expected = _by_onnxruntime(path, (faces + 1) * 127.5)
    torch.testing.assert_close(read_arcface(path).embed_faces(faces), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_a_network_that_was_exported_for_one_picture_sees_several(tmp_path):
    """buffalo_s' network ends so; its sizes are no weights, which a base stores in 16 bit."""
    path = write_network(tmp_path / "w600k_mbf.onnx", for_one_picture=True)
    faces = torch.rand(2, 3, 112, 112) * 2 - 1
    expected = torch.cat([_by_onnxruntime(path, face[None]) for face in faces])
    encoder = read_arcface(path)
    torch.testing.assert_close(encoder.embed_faces(faces), expected, atol=1e-5, rtol=1e-4)
    assert {weight.dtype for weight in encoder.state_dict().values()} == {torch.float32}


def test_padding_that_is_to_be_worked_out_is_refused(tmp_path):
    path = write_network(tmp_path / "same.onnx", auto_pad="SAME_UPPER")
    with pytest.raises(ValueError, match="Got auto_pad SAME_UPPER"):
        read_arcface(path)


@pytest.mark.slow
def test_gradients_are_the_slopes_of_the_embedding(encoder):
    exact = copy.deepcopy(encoder).double()
    frames = (torch.rand(1, 3, 96, 96, dtype=torch.double) * 2 - 1).requires_grad_(True)
    direction, step = torch.randn(512, dtype=torch.double), torch.randn(1, 3, 96, 96, dtype=torch.double)
    (exact(frames) @ direction).sum().backward()
    with torch.no_grad():
        ahead, behind = (exact(frames + sign * 1e-7 * step) @ direction for sign in (1, -1))
    torch.testing.assert_close((frames.grad * step).sum(), ((ahead - behind) / 2e-7).sum(), atol=1e-6, rtol=1e-3)


@pytest.mark.slow
def test_faces_are_seen_in_sixteen_bit_on_a_cpu(encoder):
    frames = torch.rand(2, 3, 96, 96) * 2 - 1
    near = copy.deepcopy(encoder).to(torch.bfloat16)(frames.to(torch.bfloat16))
    torch.testing.assert_close(near.float(), encoder(frames), atol=0.05, rtol=0)


@pytest.mark.slow
def test_the_middle_of_a_frame_is_seen_and_not_its_rim(encoder):
    frames = torch.rand(1, 3, 64, 64)
    rim, middle = frames.clone(), frames.clone()
    rim[..., :8, :] = 0
    middle[..., 28:36, 28:36] = 0
    assert torch.equal(encoder(rim), encoder(frames))
    assert not torch.equal(encoder(middle), encoder(frames))


def test_a_network_of_other_operations_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="uses Einsum"):
        read_graph(write_network(tmp_path / "new.onnx", last="Einsum"))


@pytest.mark.slow
def test_a_pack_without_a_recognition_network_and_a_broken_file_are_refused(tmp_path):
    (tmp_path / "w600k_r50.onnx").write_bytes(b"\x08no network")
    with pytest.raises(ValueError, match="cannot be read"):
        read_arcface(tmp_path)
    (tmp_path / "w600k_r50.onnx").unlink()
    write_network(tmp_path / "det_10g.onnx", size=64, dim=4)
    with pytest.raises(FileNotFoundError, match="No recognition network"):
        read_arcface(tmp_path)


@pytest.mark.slow
def test_another_result_in_torch_is_refused(tmp_path, monkeypatch):
    """The injected fault: slopes of the wrong sign."""
    from lightning_modules.adopted import onnx_graph

    monkeypatch.setitem(onnx_graph.OPERATIONS, "PRelu", lambda x, slope: torch.where(x > 0, x, -slope * x))
    with pytest.raises(ValueError, match="something else"):
        read_arcface(write_network(tmp_path / "net.onnx"))


def test_tensors_are_let_go_after_their_last_use():
    nodes = [
        {"op": "Relu", "inputs": ["a"], "output": "b", "attributes": {}},
        {"op": "Add", "inputs": ["b", "w"], "output": "c", "attributes": {}},
        {"op": "Mul", "inputs": ["c", "b"], "output": "d", "attributes": {}},
    ]
    values = {"a": torch.tensor([-1.0, 2.0])}
    assert run_graph(nodes, {"w": torch.ones(2)}, values, "d").tolist() == [0.0, 6.0]
    assert list(values) == ["d"]
