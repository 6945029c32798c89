"""Assembles a base model from parts that others trained: Stable Diffusion 1.5, AnimateDiff, wav2vec 2.0, insightface.

    python assemble.py --config configs/sd15.yaml
    python assemble.py --config configs/sd15.yaml --parts.checkpoint my_checkpoint --parts.vae madebyollin/taesd

What comes out is a folder as pretrain.py writes it, for every `--base` and for `pretrain.py --init`. What joins the
parts is untrained: until pretrain.py has trained it, the model does not listen. docs/backbones.md says more.
"""

import sys
from dataclasses import dataclass
from typing import Literal

from commandline import Seed, run_command


@dataclass
class PartsArgs:
    """Each a hub id, or a folder in its library's own layout."""

    checkpoint: str
    """Stable Diffusion 1.5, or a checkpoint fine-tuned from it."""
    motion_adapter: str
    """AnimateDiff's motion modules."""
    vae: str | None = None
    """Autoencoder: sd-vae-ft-mse, or TAESD, which is faster and less sharp; else the checkpoint's own."""
    speech: str | None = None
    """wav2vec 2.0; else sound is heard as log-mel windows."""
    face: str | None = None
    """insightface pack (buffalo_l), or the ONNX file of its recognition network, local; else an untrained encoder of
    ours."""
    face_adapter: str | None = None
    """IP-Adapter-FaceID, which needs --parts.face and learned from embeddings of buffalo_l; else tokens of the face are
    untrained."""
    pose: str | None = None
    """The `pose` folder of a base model of ours, local; else every portrait is taken to look straight ahead."""


def assemble(
    parts: PartsArgs,
    out: str,
    size: int = 512,
    window: int = 16,
    prompt: str | None = "",
    beta_schedule: Literal["checkpoint", "linear", "scaled_linear"] = "checkpoint",
    zero_terminal_snr: bool = False,
    seed: Seed = 0,
) -> None:
    """Join parts into a base model.

    Args:
        parts: Where they are.
        out: Folder of the base model, float16.
        size: Height and width of the frames, pixels.
        window: Frames that the denoiser sees at once; AnimateDiff's learned 16.
        prompt: What the denoiser is told in words, always; null tells it nothing, which it has never heard.
        beta_schedule: AnimateDiff learned with linear betas, whatever a checkpoint says.
        zero_terminal_snr: Start from pure noise and predict velocities; makes nothing of use before it is trained.
        seed: Of the weights that are not trained yet.
    """
    demand_options(parts, size, window)  # before imports that take seconds

    import torch

    from lightning_modules.adopted.assembly import load_parts, load_schedule
    from lightning_modules.adopted.pretrained import SOURCES, is_on_hub
    from lightning_modules.backbone import Backbone
    from lightning_modules.base_folder import save_base
    from lightning_modules.parts import BackboneShape

    torch.manual_seed(seed)
    betas = None if beta_schedule == "checkpoint" else beta_schedule
    scheduler = load_schedule(vars(parts), beta_schedule=betas, zero_terminal_snr=zero_terminal_snr)
    modules = load_parts(vars(parts), prompt)
    if window > (longest := modules["unet"].config.motion_max_seq_length):
        raise ValueError(f"`--window` must be at most {longest}, as long as the motion adapter's. Got {window}.")
    taken = {name: given for name, given in vars(parts).items() if given is not None}
    origins = {name: SOURCES[name].describe() for name in taken}
    backbone = Backbone(modules, scheduler, BackboneShape(size, window, origins=origins))
    given = {name: f"`{place}` on the hub" if is_on_hub(place) else "a local copy" for name, place in taken.items()}
    card = describe_assembly(origins, given, list_untrained(parts, zero_terminal_snr=zero_terminal_snr))
    save_base(backbone, out, texts={"README.md": card})
    print(f"The base model is in {out}; {out}/README.md says what is untrained, and under which licences it stands.")


def demand_options(parts: PartsArgs, size: int, window: int) -> None:
    """Raise ValueError if an option is out of range or contradicts another."""
    if size < 64 or size % 64:
        raise ValueError(f"`--size` must be a multiple of 64 pixels. Got {size}.")
    if window < 1:
        raise ValueError(f"`--window` must be at least 1 frame. Got {window}.")
    if parts.face_adapter and not parts.face:
        raise ValueError("`--parts.face_adapter` understands insightface's embeddings only. Pass `--parts.face`, too.")


def list_untrained(parts: PartsArgs, *, zero_terminal_snr: bool) -> list[str]:
    """Return what nobody has trained yet, and what it does until then."""
    untrained = {
        "input channels beside the noise (the reference, the reference moved, the face's surface): weigh nothing": True,
        "attention to sound and head motion, and what makes tokens of them: adds nothing": True,
        "attention to the face, and what makes tokens of it: adds nothing": parts.face_adapter is None,
        "the face encoder: random": parts.face is None,
        "the reader of head poses: every portrait looks straight ahead": parts.pose is None,
        "prediction of velocities from pure noise: frames are of no use": zero_terminal_snr,
    }
    return [line for line, applies in untrained.items() if applies]


def describe_assembly(origins: dict[str, str], given: dict[str, str], untrained: list[str]) -> str:
    """Return the model's card: what others trained, on which terms they gave it away, and what is left to train."""
    text = [
        "# Base model, assembled",
        "",
        "By `assemble.py`, from parts that others trained, whose licences bind whoever uses this model, too:",
        "",
        *(f"- {name}: {given[name]}. It should be {origin}" for name, origin in origins.items()),
        "",
        "Untrained, so that the model does not listen yet:",
        "",
        *(f"- {line}" for line in untrained),
        "",
        "`python pretrain.py --init` with this folder trains it; docs/backbones.md says how.",
        "",
    ]
    return "\n".join(text)


if __name__ == "__main__":
    sys.exit(run_command(assemble))
