"""A batch of random clips, as training sees one."""

import torch


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
        "pose": torch.rand(clips, frames, 6),
        "motion": torch.randn(clips, frames, 6),
        "has_motion": torch.ones(clips),
        "mouth": torch.rand(clips, frames),
        "has_mouth": torch.ones(clips),
    }
    return head.on_before_batch_transfer(batch, 0)
