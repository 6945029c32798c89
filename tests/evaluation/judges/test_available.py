"""What is at hand is found and named; what is not is None, and nothing is ever downloaded."""

from __future__ import annotations

import json
import socket
from importlib.util import find_spec

import pytest
import torch

from evaluation.judges import available
from evaluation.judges.available import LOCAL, find_judges, load_judge
from evaluation.protocols import Judges


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """Fail whoever opens a connection, and hide networks that this machine may hold."""

    def refuse(*args, **kwargs):
        raise AssertionError("A network was asked for something.")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(available, "INSIGHTFACE_MODELS", tmp_path / "packs")


@pytest.fixture
def folder(tmp_path, untrained):
    for name, judge in untrained.items():
        judge.save_pretrained(tmp_path / "judges" / name)
    return tmp_path / "judges"


def test_an_empty_folder_holds_no_judge(tmp_path):
    assert find_judges(tmp_path) == Judges()


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="`--judges` must be a folder"):
        find_judges(tmp_path / "nowhere")


def test_our_own_serve_everything_under_their_own_names(folder):
    judges = find_judges(folder)
    for judge in vars(judges).values():
        assert judge.local
        assert "(local)" in judge.name


def test_judges_come_back_as_they_were_stored(folder, untrained):
    for name, kind in LOCAL.items():
        loaded = load_judge(kind, folder / name).state_dict()
        assert all(torch.equal(loaded[key], tensor) for key, tensor in untrained[name].state_dict().items())


def test_part_of_the_judges_is_enough(folder, tmp_path):
    (folder / "sync").rename(tmp_path / "elsewhere")
    judges = find_judges(folder)
    assert judges.sync is None
    assert judges.video is None
    assert judges.landmarks is not None


def test_weights_of_another_shape_are_refused(folder):
    config = folder / "sync" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"embedding_dim": 32}))
    with pytest.raises(ValueError, match="does not fit its config"):
        find_judges(folder)


def test_weights_that_break_off_are_named(folder):
    path = folder / "sync" / available.WEIGHTS
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"sync/.* is broken"):
        find_judges(folder)


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
def test_weights_that_cannot_be_used_are_named(folder, caplog):
    (folder / "alexnet.safetensors").touch()
    assert find_judges(folder).perceptual.local
    assert "alexnet.safetensors is there, and torchvision is not installed" in caplog.text


def test_a_face_encoder_on_disk_is_preferred(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(available, "ArcFaceJudge", lambda path: path.name)
    for name in ("w600k_r50.onnx", "det_10g.onnx"):
        (tmp_path / "packs" / "buffalo_l").mkdir(parents=True, exist_ok=True)
        (tmp_path / "packs" / "buffalo_l" / name).touch()
    assert find_judges(folder).identity == "w600k_r50.onnx"
