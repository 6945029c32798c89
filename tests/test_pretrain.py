"""Stage 0 goes on where it stopped, and what it writes is a base model."""

import json
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins import MixedPrecision
from torch import nn

import pretrain
from commandline import run_command
from datamodules.demo.people import make_demo_people
from lightning_modules.args import Steps
from lightning_modules.base_folder import load_base, save_base
from lightning_modules.copying import CopySpread
from lightning_modules.pretraining import small
from lightning_modules.pretraining.fitting import TaskFitter, average_decay, derive_seeds, learning_rate_factor
from lightning_modules.pretraining.model_card import add_history, read_history
from lightning_modules.pretraining.task import Task
from stage_zero import demand_fitting, tell_origin

STEPS = [field.name for field in fields(Steps)]


class Line(Task):
    """A task as small as a task can be."""

    def __init__(self):
        torch.manual_seed(0)
        super().__init__(nn.Linear(2, 1), learning_rate=0.1)

    def training_step(self, batch, step):
        return (self.model(batch) - batch.sum(-1, keepdim=True) + 0.1 * torch.randn(())).square().mean()


class Stopped(Exception):
    pass


def _draw(seed):
    return torch.randn(4, 2, generator=torch.Generator().manual_seed(seed))


def _fit(folder, draw=_draw, steps=6, seed=0, plugins=(), **settings):
    task, fabric = Line(), Fabric(accelerator="cpu", devices=1, plugins=plugins)
    TaskFitter(fabric, folder, seed, settings, save_every=2).fit("line", task, draw, steps)
    return task.model.state_dict()


def _half(scale):
    """Return 16-bit arithmetic on a CPU, whose gradients are scaled by much before they are taken."""
    return [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))]


def test_a_step_that_overflows_is_skipped_and_the_next_ones_train(tmp_path):
    trained = _fit(tmp_path / "half", plugins=_half(2.0**18))["weight"]
    assert torch.isfinite(trained).all()
    assert (trained - Line().model.weight).abs().max() > 0
    with pytest.raises(RuntimeError, match="non-finite"):
        _fit(tmp_path / "single", draw=lambda seed: torch.full((4, 2), float("nan")))


@pytest.mark.parametrize("plugins", [list, lambda: _half(2.0**18)])
def test_an_interrupted_stage_ends_like_an_uninterrupted_one(tmp_path, plugins):
    drawn = []

    def break_off(seed):
        drawn.append(seed)
        if len(drawn) == 6:
            raise Stopped
        return _draw(seed)

    whole = _fit(tmp_path / "whole", plugins=plugins())
    with pytest.raises(Stopped):
        _fit(tmp_path / "broken", break_off, plugins=plugins())
    resumed = _fit(tmp_path / "broken", plugins=plugins())
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_finished_stage_is_not_trained_again(tmp_path):
    first = _fit(tmp_path)
    again = _fit(tmp_path, draw=lambda seed: pytest.fail("drew another batch"))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_folder_goes_on_with_its_own_training_only(tmp_path):
    _fit(tmp_path, data="a", steps_of_all={"line": 6})
    for change, named in (({"data": "b"}, "data was a. Got b"), ({"seed": 1, "data": "a"}, "seed was 0. Got 1")):
        with pytest.raises(ValueError, match=named):
            _fit(tmp_path, steps_of_all={"line": 6}, **change)
    (tmp_path / "settings.json").unlink()
    with pytest.raises(ValueError, match="unknown settings"):
        _fit(tmp_path, data="a", steps_of_all={"line": 6})


def test_every_draw_follows_from_the_seed_and_no_two_are_alike():
    seeds = [
        derive_seeds(*of)
        for of in ((0, "vae", 3, 0), (1, "vae", 3, 0), (0, "pose", 3, 0), (0, "vae", 4, 0), (0, "vae", 3, 1))
    ]
    assert len({seed for pair in seeds for seed in pair}) == 10
    assert derive_seeds(0, "vae", 3, 0) == seeds[0]


@pytest.mark.parametrize("steps", [1, 20, 150, 6000])
def test_the_average_has_forgotten_the_first_weights_and_no_more_than_it_must(steps):
    left = average_decay(steps) ** steps
    assert left < 1e-4
    assert steps < 150 or left > 1e-5


@pytest.mark.slow
def test_what_is_kept_of_a_short_training_is_what_it_learned(tmp_path):
    """`Line` learns a weight of 1 for either input."""
    assert (_fit(tmp_path, steps=150)["weight"] - 1).abs().max() < 0.1


def test_what_is_kept_is_the_average_of_the_last_weights(tmp_path):
    kept = _fit(tmp_path, steps=30)["weight"]
    saved = torch.load(tmp_path / "line.ckpt", weights_only=True)
    assert torch.equal(kept, saved["average"]["module.weight"])
    assert not torch.equal(kept, saved["task"]["model.weight"])


def test_the_learning_rate_warms_up_stays_and_ends_at_zero():
    factors = [learning_rate_factor(step, 1000) for step in range(1001)]
    assert factors[0] < 0.02
    assert factors[300] == pytest.approx(1.0)
    assert factors[1000] == 0.0
    assert max(factors) <= 1.0


def test_the_card_of_a_model_trained_on_counts_all_its_steps(tmp_path):
    log = {"vae": {"steps": 2, "seconds": 1, "losses": [[2, 0.5]]}, "pose": {"steps": 1, "seconds": 1, "losses": []}}
    (tmp_path / "training.json").write_text(json.dumps({"vae": log["vae"], "data": {}}))
    before = read_history(tmp_path)
    assert add_history(log, before) == log | {"vae": {"steps": 4, "seconds": 2, "losses": [[2, 0.5], [4, 0.5]]}}
    assert add_history(log, read_history(tmp_path / "none")) == log
    assert add_history({"pose": log["pose"]}, before)["vae"] == log["vae"], "a part that was not asked for"


@pytest.mark.parametrize("written", ["3", '{"vae": 3}', '{"vae": {"steps": 1}}', "{"])
def test_a_log_of_something_else_is_named_before_training(tmp_path, written):
    (tmp_path / "training.json").write_text(written)
    with pytest.raises(ValueError, match="must be the training log of a base model"):
        read_history(tmp_path)


def test_the_shipped_card_tells_which_of_the_demo_people_are_which():
    card = (Path(__file__).parents[1] / "assets" / "base" / "README.md").read_text()
    assert "\n".join(tell_origin("data/public", is_demo=True)) in card
    assert tell_origin("mine", is_demo=False) == ["in `mine`."]


def _pretrain(folder, init, held_out=None, window=4, **steps):
    make_demo_people(folder / "people", range(1000, 1002), clips_per_person=1)
    pretrain.pretrain(
        steps=Steps(**dict.fromkeys(STEPS, 0) | steps),
        data_root=str(folder / "people"),
        held_out=held_out,
        out=str(folder / "base"),
        work=str(folder / "work"),
        init=str(init),
        window=window,
        accelerator="cpu",
        learning_rate=1e-4,
    )


@pytest.mark.slow
def test_an_assembled_base_is_trained_on(tiny_assembled, tmp_path):
    """Its denoiser begins with what it has learned elsewhere, hears by its own speech model, and keeps its licences."""
    before = load_base(tiny_assembled)
    _pretrain(tmp_path, tiny_assembled, pose=1, denoiser=2)
    after = load_base(tmp_path / "base")
    old, new = before.unet.conv_out.weight, after.unet.conv_out.weight
    assert 0 < (new - old).abs().max() < 0.01 < old.abs().max()
    assert after.shape == replace(before.shape, knows_motion=True)
    assert "non-commercial" in (tmp_path / "base" / "README.md").read_text()
    names = {name for name, parameter in after.unet.named_parameters() if "to_v_ip" in name and parameter.any()}
    assert len(names) == 12


@pytest.mark.slow
@pytest.mark.parametrize(("window", "steps", "learned"), [(None, 1, 8), (6, 1, 6), (6, 0, 8)])
def test_a_base_keeps_its_window_unless_its_denoiser_learns_another(tiny_base, tmp_path, window, steps, learned):
    _pretrain(tmp_path, tiny_base, window=window, denoiser=steps, pose=1)
    assert load_base(tmp_path / "base").shape.window == learned


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 1])
def test_a_base_without_a_mover_gets_one_and_a_denoiser_that_learns_starts_from_what_that_moves(
    tiny_base, tmp_path, steps
):
    shutil.copytree(tiny_base, tmp_path / "old")
    shutil.rmtree(tmp_path / "old" / "mover")
    old = load_base(tmp_path / "old")
    assert old.mover is None
    old.spread = CopySpread(4, 16)
    save_base(old, tmp_path / "old")
    _pretrain(tmp_path, tmp_path / "old", mover=2, denoiser=steps)
    new = load_base(tmp_path / "base")
    assert new.mover.answer.weight.any()
    assert (new.spread.moved == 1).all() != bool(steps)
    last = new.unet.conv_out.weight
    assert last.abs().max() < 1e-3 if steps else torch.equal(last, load_base(tmp_path / "old").unet.conv_out.weight)


@pytest.mark.slow
def test_a_base_that_takes_its_own_place_keeps_its_history(tiny_base, tmp_path):
    shutil.copytree(tiny_base, tmp_path / "base")
    trained = {"steps": 3, "seconds": 1, "losses": [[3, 0.5]]}
    (tmp_path / "base" / "training.json").write_text(json.dumps({"data": {}, "vae": trained, "held_out": {}}))
    _pretrain(tmp_path, tmp_path / "base", pose=1)
    log = json.loads((tmp_path / "base" / "training.json").read_text())
    assert log["vae"] == trained
    assert log["pose"]["steps"] == 1


@pytest.mark.slow
def test_parts_that_only_others_can_train_and_frames_of_another_size_are_refused(tiny_assembled):
    backbone = load_base(tiny_assembled)
    nothing = Steps(vae=0, encoder=0, decoder=0)
    with pytest.raises(ValueError, match=r"`--size` must be the base model's, 64"):
        demand_fitting(backbone, nothing, 128, 4)
    with pytest.raises(ValueError, match=r"`--window` must lie in 1 to 24 frames. Got 25"):
        demand_fitting(backbone, nothing, 64, 25)
    with pytest.raises(ValueError, match=r"`--steps.encoder` must be 0: the base's ArcFace"):
        demand_fitting(backbone, replace(nothing, encoder=5), 64, 4)
    backbone.vae = nn.Identity()
    with pytest.raises(ValueError, match=r"`--steps.decoder` must be 0"):
        demand_fitting(backbone, replace(nothing, decoder=5), 64, 4)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"held_out": "nowhere"}, "`--held_out` must be a folder of people. Got nowhere"),
        ({"devices": 3}, "must be 1, 2 or 4. Got 3"),
        ({"devices": 0}, "must be 1, 2 or 4. Got 0"),
        ({"devices": -2}, "must be 1, 2 or 4. Got -2"),
        ({"learning_rate": -1.0}, "`--learning_rate` must be above 0. Got -1.0"),
        ({"learning_rate": 0.0}, "`--learning_rate` must be above 0. Got 0.0"),
        ({"learning_rate": float("nan")}, "`--learning_rate` must be above 0. Got nan"),
        ({"window": 0}, "`--window` must lie in 1 to 24 frames. Got 0"),
        ({"size": 50}, "`--size` must be a multiple of 8 pixels, 16 at least. Got 50"),
        ({"out": "."}, "`--out` is replaced whole, so it must be new or hold backbone.json"),
        ({"steps": {"vae": -5}}, "`--steps.vae` must be at least 0. Got -5"),
    ],
)
def test_what_would_fail_after_the_training_is_refused_before(tmp_path, monkeypatch, options, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "precious").touch()
    with pytest.raises(ValueError, match=re.escape(named)):
        pretrain.pretrain(Steps(**options.pop("steps", {})), data_root="people", accelerator="cpu", **options)
    assert (tmp_path / "precious").is_file()


@pytest.mark.slow
def test_held_out_people_are_read_before_the_training(tiny_base, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"must hold <person>/<clip>.* Got none in .*empty"):
        _pretrain(tmp_path, tiny_base, held_out=str(tmp_path / "empty"), vae=1)
    assert not list((tmp_path / "work").rglob("*.ckpt"))


def test_an_accelerator_of_another_kind_is_one_line():
    assert run_command(pretrain.pretrain, argv=["--accelerator", "tpu"]) == 2


def test_no_steps_leave_a_part_as_it_is(tmp_path):
    fitted, untouched = _fit(tmp_path), Line().model.state_dict()
    again = _fit(tmp_path, steps=0)
    assert all(torch.equal(untouched[name], again[name]) for name in again)
    assert not all(torch.equal(fitted[name], again[name]) for name in again)


@pytest.mark.slow
def test_a_base_model_comes_out(tmp_path, monkeypatch, tiny_configs):
    monkeypatch.setattr(small, "SMALL", tiny_configs)
    monkeypatch.setattr("stage_zero.SMALL", tiny_configs)
    make_demo_people(tmp_path / "people", range(1000, 1002), clips_per_person=1)
    pretrain.pretrain(
        data_root=str(tmp_path / "people"),
        held_out=str(tmp_path / "people"),
        out=str(tmp_path / "base"),
        work=str(tmp_path / "work"),
        steps=Steps(**dict.fromkeys(STEPS, 2)),
        window=4,
        accelerator="cpu",
    )
    assert load_base(tmp_path / "base").shape.window == 4
    log = json.loads((tmp_path / "base" / "training.json").read_text())
    assert 0 < log["held_out"]["vae_psnr"] < 20
    card = (tmp_path / "base" / "README.md").read_text()
    assert "2 public people" in card
    assert "demo people" not in card
    assert [log[stage]["steps"] for stage in STEPS] == [2] * 6
