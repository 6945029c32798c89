"""The model as the federation calls it: equal starts, no waiting, and that training finds what there is to find."""

import pytest
import torch
from torch.nn import Parameter

from benchmarks.synthetic import Size
from federation.args import FederationArgs
from federation.local_optimizer import LocalOptimizer
from lightning_modules.reference import Reference
from lightning_modules.talking_head import TalkingHead
from tests.lightning_modules.batches import make_batch


@pytest.fixture(scope="module")
def untrained(tiny_base):
    """A head that tests look at and do not change."""
    return TalkingHead(str(tiny_base)).eval()


@pytest.mark.slow
def test_two_devices_start_from_the_same_adapter(untrained, tiny_base):
    torch.manual_seed(2)  # not what `untrained` was made with
    theirs = TalkingHead(str(tiny_base)).state_dict()
    for name, value in untrained.state_dict().items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.slow
def test_each_part_learns_at_its_own_rate_and_no_weights_decay(tiny_base):
    head = TalkingHead(str(tiny_base), shared_learning_rate=0.1, identity_learning_rate=0.2)
    others = {name: [Parameter(torch.ones(1))] for name in ("shared", "personal")}
    for parts in (None, others):
        groups = {name: made.param_groups[0] for name, made in head.configure_optimizers(parts).items()}
        settings = {name: (group["lr"], group["weight_decay"]) for name, group in groups.items()}
        assert settings == {"shared": (0.1, 0.0), "personal": (0.2, 0.0)}


@pytest.mark.slow
def test_adapters_overfit_one_batch(tiny_base):
    head = TalkingHead(str(tiny_base), identity_weight=0.0, shared_learning_rate=1e-2, identity_learning_rate=1e-2)
    batch, optimizers = make_batch(head, clips=1), head.configure_optimizers()
    timestep, eps = torch.tensor([400]), torch.randn(batch["latents"].shape)
    before = head.denoising_error(batch, timestep, eps)
    for step in range(60):
        batch = head.on_before_batch_transfer(batch, 0)
        head.training_step(batch, step).backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    assert head.denoising_error(batch, timestep, eps) < 0.8 * before


@pytest.mark.slow
def test_signals_lie_in_the_unit_interval_and_see_flicker(untrained):
    batch = make_batch(untrained)
    identity, steady = untrained.signals([batch])
    batch["latents"] = torch.randn_like(batch["latents"])
    _, shaky = untrained.signals([batch])
    assert 0 <= identity <= 1
    assert 0 < shaky < steady <= 1
    with pytest.raises(ValueError, match="at least one batch"):
        untrained.signals([])


@pytest.mark.slow
def test_the_shared_adapter_starts_where_another_ended(tiny_base, tmp_path):
    first = TalkingHead(str(tiny_base), identity_rank=0)
    with torch.no_grad():
        for parameter in first.shared_parameters():
            parameter.add_(torch.randn_like(parameter))
    first.export_adapter("shared", tmp_path / "adapter")
    second = TalkingHead(str(tiny_base), identity_rank=0, shared_start=str(tmp_path / "adapter"))
    for ours, theirs in zip(second.shared_parameters(), first.shared_parameters(), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        TalkingHead(str(tiny_base), identity_rank=0, shared_start=str(tmp_path / "nowhere"))


@pytest.mark.slow
def test_a_step_never_asks_the_device_for_a_number(tiny_configs):
    """On the meta device, which has none to give: whatever would make a host wait for a GPU raises here."""
    head = Size(tiny_configs, pixels=64, frames=4).build_head("meta")
    everything = {"posed_rows": torch.tensor([0]), "visible_rows": torch.tensor([0])}
    batches = [make_batch(head, clips) | everything for clips in (2, 1)]
    batches = [{name: part.to("meta") for name, part in batch.items()} for batch in batches]
    vectors = {
        part: [torch.nn.Parameter(torch.zeros(sum(p.numel() for p in own), device="meta")) for _ in batches]
        for part, own in (("shared", head.shared_parameters()), ("personal", head.personal_parameters()))
    }
    local = LocalOptimizer(head.configure_optimizers(), FederationArgs(aggregation="fedprox"), proximal_mu=1.0)
    head.training_step(batches[0], 0).backward()
    local.step()
    with head.side_by_side(vectors, batches):
        torch.autograd.backward([loss["total"] for loss in head.client_losses(batches)])
    assert all(vector.grad is not None for own in vectors.values() for vector in own)
    with pytest.raises(RuntimeError, match="meta"):
        head.training_step(batches[0] | {"posed_rows": batches[0]["has_motion"].nonzero().flatten()}, 0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_step_never_makes_the_host_wait(tiny_base):
    head = TalkingHead(str(tiny_base))
    batches = [make_batch(head) for _ in range(3)]
    head.cuda()
    local = LocalOptimizer(head.configure_optimizers(), FederationArgs(), 0.0, torch.amp.GradScaler("cuda"))
    try:
        for step, batch in enumerate(batches):
            torch.cuda.set_sync_debug_mode("error" if step else "default")  # constants are copied in the first step
            batch = {name: part.to("cuda", non_blocking=True) for name, part in batch.items()}
            with torch.autocast("cuda", torch.float16):
                loss = head.training_step(batch, step)
            local.scale(loss).backward()
            local.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.slow
def test_one_who_moved_before_moves_the_same_after_coming_back(tiny_base, tmp_path):
    head, other = (TalkingHead(str(tiny_base), identity_rank=2) for _ in range(2))
    for parameter in head.personal_parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    head.export_adapter("identity", tmp_path)
    reference, motion = Reference.of_batch(make_batch(head)), 0.3 * torch.randn(2, 4, 6)
    moved = head.backbone.move(reference, motion)
    assert not torch.equal(other.backbone.move(reference, motion), moved)
    other.load_adapter("identity", tmp_path)
    torch.testing.assert_close(other.backbone.move(reference, motion), moved)
