"""One client's batches, and nobody else's."""

from __future__ import annotations

import pytest
import torch

from datamodules.clients import ClientDataModule

PEOPLE = ("ada", "bob", "eve")


@pytest.fixture
def data(read_marked) -> ClientDataModule:
    return read_marked(window=8, batch_size=3)


def test_clients_are_people_with_their_training_frames(data):
    assert data.clients == ["ada", "bob", "eve"]
    assert {client: data.num_examples(client) for client in data.clients} == {"ada": 30, "bob": 30, "eve": 93}
    assert [len(clips) for clips in data.splits("eve").values()] == [3, 1, 1]


def test_batches_have_the_promised_shapes(data):
    batches = list(data.client_dataloader("eve", steps=4, seed=1))
    assert len(batches) == 4
    shapes = {name: tuple(tensor.shape) for name, tensor in batches[0].items()}
    assert shapes == {"frames": (3, 8, 3, 4, 4), "latents": (3, 8, 4, 2, 2), "mel": (3, 8, 20, 80),
                      "pose": (3, 8, 6), "motion": (3, 8, 6), "has_motion": (3,), "mouth": (3, 8), "has_mouth": (3,),
                      "reference_frame": (3, 3, 4, 4),
                      "reference": (3, 4, 2, 2), "identity": (3, 3), "reference_motion": (3, 6)}  # fmt: skip


def flat(batches) -> torch.Tensor:
    return torch.cat([torch.cat([batch["mouth"].flatten(), batch["identity"].flatten()]) for batch in batches])


def test_batches_are_determined_by_the_seed_alone(data):
    first = flat(data.client_dataloader("eve", steps=5, seed=7))
    torch.manual_seed(99)
    list(data.client_dataloader("bob", steps=2, seed=1))
    loader = data.client_dataloader("eve", steps=5, seed=7)
    assert torch.equal(flat(loader), first)
    assert torch.equal(flat(loader), first)  # and a second pass is the same
    assert not torch.equal(flat(data.client_dataloader("eve", steps=5, seed=8)), first)


def test_torchs_own_randomness_is_left_alone(data):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    list(data.client_dataloader("eve", steps=3, seed=7))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("client", PEOPLE)
def test_clients_never_mix(data, client):
    marks = flat(data.client_dataloader(client, steps=20, seed=3)) // 1000
    assert marks.unique().tolist() == [PEOPLE.index(client)]


@pytest.mark.parametrize(("split", "scored"), [("val", {3}), ("test", {4})])
def test_what_is_scored_is_never_shown_as_reference(data, split, scored):
    for batch in data.client_dataloader("eve", steps=10, seed=3, split=split):
        assert set((batch["mouth"] % 1000 // 100).unique().tolist()) == scored
        assert set((batch["identity"] % 1000 // 100).unique().tolist()) <= {0, 1, 2}


def test_training_takes_the_reference_from_another_clip_or_outside_the_window(data):
    for batch in data.client_dataloader("eve", steps=10, seed=3):
        assert (batch["mouth"][:, 0] // 100 != batch["identity"][:, 0] // 100).all()
    for batch in data.client_dataloader("ada", steps=10, seed=3):
        assert not (batch["mouth"] == batch["identity"][:, :1]).any()


def test_clips_are_encoded_once_for_each_encoder(data, mark_clip):
    asked = []
    data.set_encoder(lambda clip: asked.append(clip.name) or mark_clip(clip), "counting")
    for seed in range(3):
        list(data.client_dataloader("eve", steps=1, seed=seed, split="test"))
    assert asked == ["4", "0", "1", "2"]
    data.set_encoder(lambda clip: asked.append(clip.name) or mark_clip(clip), "other weights")
    data.encoded("eve", "test")
    assert len(asked) == 5


def test_who_is_not_scored_has_no_test_batches(data):
    with pytest.raises(ValueError, match="ada has no test clip"):
        data.client_dataloader("ada", steps=1, seed=0, split="test")


def test_unknown_names_are_refused(data):
    with pytest.raises(ValueError, match=r"ada, bob, eve\. Got 'zoe'"):
        data.splits("zoe")
    with pytest.raises(ValueError, match=r"train, val, test\. Got 'dev'"):
        data.encoded("ada", "dev")


@pytest.mark.parametrize(("setting", "value"), [("window", 25), ("window", 0), ("batch_size", 0), ("size", 8)])
def test_impossible_settings_are_refused(setting, value):
    with pytest.raises(ValueError, match=rf"--data\.{setting}.*Got {value}"):
        ClientDataModule(**{setting: value})


def test_real_files_are_read_and_their_encodings_kept(record, tmp_path):
    record("people/ada/long.mp4", seconds=11)
    asked = []
    for _ in range(2):
        module = ClientDataModule(str(tmp_path / "people"), 16, "none", cache_dir=str(tmp_path / "cache"))
        module.setup()
        module.set_encoder(lambda clip: asked.append(clip.name) or {"latents": clip.frames.float()}, "a")
        assert [len(module.encoded("ada", split)) for split in ("train", "val", "test")] == [1, 1, 1]
    assert asked == ["long-01", "long-02", "long-03"]


def test_only_those_named_take_part(record, tmp_path):
    for person in ("ada", "bob"):
        record(f"people/{person}/a.mp4")
    settings = {"root": str(tmp_path / "people"), "size": 16, "crop": "none"}
    module = ClientDataModule(**settings, people=["bob"])
    module.setup()
    assert module.clients == ["bob"]
    with pytest.raises(ValueError, match=r"--data\.people.*Got zoe"):
        ClientDataModule(**settings, people=["bob", "zoe"]).setup()
