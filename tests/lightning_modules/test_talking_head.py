"""What trains and what does not, and that training finds what there is to find."""

import pytest
import torch

from benchmarks.synthetic import Size
from federation.args import FederationArgs
from federation.local_optimizer import LocalOptimizer
from federation.update import ClientSignals
from lightning_modules.reference import Reference
from lightning_modules.talking_head import TalkingHead


@pytest.fixture(scope="module")
def untrained(tiny_base):
    """A head that tests look at and do not change."""
    return TalkingHead(str(tiny_base)).eval()


def make_batch(head, clips=2, frames=4):
    """Return a batch with the draws of its step."""
    channels = head.backbone.vae.config.latent_channels
    batch = {
        "latents": torch.randn(clips, 1, channels, 16, 16).repeat(1, frames, 1, 1, 1),
        "frames": torch.randint(256, (clips, frames, 3, 64, 64), dtype=torch.uint8),
        "reference_frame": torch.randint(256, (clips, 3, 64, 64), dtype=torch.uint8),
        "reference": torch.randn(clips, channels, 16, 16),
        "reference_motion": torch.rand(clips, 6),
        "identity": torch.nn.functional.normalize(torch.randn(clips, 128), dim=-1),
        "mel": torch.randn(clips, frames, 20, 80),
        "motion": torch.randn(clips, frames, 6),
        "has_motion": torch.ones(clips),
        "mouth": torch.rand(clips, frames),
        "has_mouth": torch.ones(clips),
    }
    return head.on_before_batch_transfer(batch, 0)


@pytest.mark.slow
def test_only_adapters_move(tiny_base):
    head = TalkingHead(str(tiny_base))
    before = {name: value.clone() for name, value in head.state_dict().items()}
    optimizers = head.configure_optimizers()
    batch = make_batch(head)
    for step in range(2):  # B is zero at first, so A gets its first gradient in the second step
        head.training_step(batch, step).backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    moved = {name for name, value in head.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert {name.split(".lora_")[1].split(".")[0] + "." + name.split(".lora_")[1].split(".")[1] for name in moved} == {
        "B.shared",
        "A.identity",
        "B.identity",
    }


@pytest.mark.slow
def test_shared_and_personal_parts_are_apart(untrained):
    shared, personal = set(untrained.shared_parameters()), set(untrained.personal_parameters())
    assert shared
    assert personal
    assert not shared & personal
    assert {p for p in untrained.parameters() if p.requires_grad} == shared | personal


@pytest.mark.slow
def test_two_devices_start_from_the_same_adapter(untrained, tiny_base):
    torch.manual_seed(2)  # not what `untrained` was made with
    theirs = TalkingHead(str(tiny_base)).state_dict()
    for name, value in untrained.state_dict().items():
        assert torch.equal(value, theirs[name]), name


def test_the_whole_denoiser_can_be_federated(tiny_base):
    head = TalkingHead(str(tiny_base), identity_rank=0, trainable="backbone")
    denoiser = sum(p.numel() for name, p in head.backbone.unet.named_parameters() if "lora" not in name)
    assert sum(p.numel() for p in head.shared_parameters()) == denoiser
    head.training_step(make_batch(head), 0).backward()
    assert all(p.grad is not None for p in head.shared_parameters())


@pytest.mark.slow
def test_losses_are_named_and_weighed(tiny_base):
    head = TalkingHead(str(tiny_base), identity_rank=0, tdc_weight=0.5, identity_weight=0.0)
    loss = head.training_step(make_batch(head), 0)
    assert loss.item() == pytest.approx((head.losses["denoising"] + 0.5 * head.losses["tdc"]).item())
    assert head.losses["identity"] == 0.0


@pytest.mark.slow
def test_the_identity_loss_reaches_the_adapters(tiny_base, monkeypatch):
    head = TalkingHead(str(tiny_base), tdc_weight=0.0, identity_weight=1.0)
    monkeypatch.setattr("lightning_modules.draws.draw_timesteps", lambda n, d: torch.full((n,), 100))
    monkeypatch.setattr("lightning_modules.objective.denoising_loss", lambda *_: torch.zeros(()))
    head.training_step(make_batch(head), 0).backward()
    assert head.losses["identity"] > 0
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in head.personal_parameters())


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
    steady = untrained.signals([batch])
    batch["latents"] = torch.randn_like(batch["latents"])
    shaky = untrained.signals([batch])
    assert 0 <= steady.identity <= 1
    assert 0 < shaky.stability < steady.stability <= 1
    assert ClientSignals(*steady).identity == steady.identity
    with pytest.raises(ValueError, match="at least one batch"):
        untrained.signals([])


@pytest.mark.slow
def test_adapters_stay_float32_on_a_16_bit_backbone(tiny_base):
    head = TalkingHead(str(tiny_base), frozen_dtype="bf16")
    assert {p.dtype for p in [*head.shared_parameters(), *head.personal_parameters()]} == {torch.float32}
    assert head.backbone.vae.dtype == torch.bfloat16


@pytest.mark.slow
def test_the_shared_a_trains_only_where_it_is_asked_for(untrained, tiny_base):
    frozen, free = untrained, TalkingHead(str(tiny_base), identity_rank=0, freeze_a=False)
    names = {
        head: {name for name, p in head.named_parameters() if p.requires_grad and ".shared." in name}
        for head in (frozen, free)
    }
    assert names[free] == names[frozen] | {name.replace("lora_B", "lora_A") for name in names[frozen]}
    assert len(free.shared_parameters()) == 2 * len(frozen.shared_parameters())


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
    everything = {"posed": torch.tensor([0]), "visible": torch.tensor([0])}
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
        head.training_step(batches[0] | {"posed": batches[0]["has_motion"].nonzero().flatten()}, 0)


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


def mover_gradients(head, term, batch):
    """Return how far each parameter of the mover's adapter is pulled by one term of the loss."""
    parameters = [p for p in head.backbone.mover.parameters() if p.requires_grad]
    found = torch.autograd.grad(
        head.client_losses([head.on_before_batch_transfer(batch, 0)])[0][term], parameters, allow_unused=True
    )
    return [0.0 if gradient is None else gradient.abs().max().item() for gradient in found]


@pytest.mark.slow
def test_the_mover_learns_from_the_pixels_of_shown_motion_alone(tiny_base, monkeypatch):
    monkeypatch.setattr("lightning_modules.draws.MOTION_SHOWN", 1.0)
    head = TalkingHead(str(tiny_base), identity_rank=2, identity_weight=0.0)
    for parameter in head.personal_parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    batch = make_batch(head) | {"has_motion": torch.ones(2)}
    assert max(mover_gradients(head, "mover", batch)) > 0
    assert max(mover_gradients(head, "denoising", batch)) == 0
    assert max(mover_gradients(head, "mover", batch | {"has_motion": torch.zeros(2)})) == 0


@pytest.mark.slow
def test_without_a_personal_adapter_the_mover_is_everybodys(tiny_base):
    head = TalkingHead(str(tiny_base), identity_rank=0)
    assert not any(parameter.requires_grad for parameter in head.backbone.mover.parameters())
    assert head.client_losses([make_batch(head)])[0]["mover"] == 0


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
