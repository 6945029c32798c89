"""Stage 0: train the base model on public people who agreed to it.

    python pretrain.py                                                     # the demo people -> assets/base
    python pretrain.py --data_root my_public_people --out assets/mine      # any folder of people

The same command continues where an interrupted one stopped. It runs on one device; train.py takes it from there.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from commandline import run_command


def pretrain(
    data_root: str = "data/public",
    out: str = "assets/base",
    work: str = "runs/pretrain",
    init: str | None = None,
    vae_steps: int = 2000,
    encoder_steps: int = 1500,
    denoiser_steps: int = 6000,
    decoder_steps: int = 1000,
    people: int = 600,
    size: int = 64,
    window: int = 8,
    crop: Literal["auto", "face", "none"] = "none",
    seed: int = 0,
    devices: int = 1,
    accelerator: str = "auto",
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true",
) -> None:
    """Train autoencoder, face encoder and denoiser one after the other and write the base model.

    Args:
        data_root: Folder of public people, one folder of clips each; the demo people are made if it is data/public.
        out: Where the base model goes, in diffusers layout, float16.
        work: Where checkpoints and losses go.
        init: Start from this base model instead of from scratch.
        vae_steps: Optimizer steps of the autoencoder, 16 frames each.
        encoder_steps: Optimizer steps of the face encoder, 64 frames each.
        denoiser_steps: Optimizer steps of the denoiser and its condition encoders, 4 windows each.
        decoder_steps: Further optimizer steps of the decoder alone, 16 frames each; the latents do not change by them.
        people: How many demo people to make.
        size: Height and width of the frames, pixels.
        window: Frames that the denoiser sees at once.
        crop: How faces are found; demo people fill the frame.
        seed: Of every draw.
        devices: Processes that share each batch; on a CPU with 2 cores, 2 are faster than one with two threads.
        accelerator: cpu, cuda or auto.
        precision: Of the arithmetic; the weights are stored in float16 in any case.
    """
    import torch
    from lightning.fabric import Fabric

    from datamodules.demo import make_demo_people
    from datamodules.encoding_cache import EncodingCache
    from datamodules.frames import load_people
    from datamodules.public import PublicPeople
    from lightning_modules.backbone import Backbone, BackboneShape, hash_weights
    from lightning_modules.pretraining import AutoencoderTask, DecoderTask, DenoiserTask, IdentityTask, set_latent_scale
    from lightning_modules.small import SMALL

    if accelerator == "cpu" and devices > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices))
    fabric = Fabric(
        accelerator=accelerator, devices=devices, strategy="ddp" if devices > 1 else "auto", precision=precision
    )
    fabric.launch()
    torch.manual_seed(seed)
    if data_root == "data/public":
        with fabric.rank_zero_first():
            make_demo_people(data_root, range(1000, 1000 + people), processes=2, progress=_say("making demo people"))
    backbone = Backbone.from_pretrained(init) if init else Backbone.from_scratch(BackboneShape(size, window), SMALL)
    public = PublicPeople(load_people(data_root, size, crop, _say("reading clips")), window)
    stage = Stage(fabric, Path(work))

    stage.fit("vae", AutoencoderTask(backbone), lambda s: public.draw_frames(16 // devices, s)[0], vae_steps)
    if not init:
        set_latent_scale(backbone, public.draw_frames(256, seed)[0])
    task = IdentityTask(backbone, len(public.people))
    stage.fit("encoder", task, lambda s: public.draw_frames(64 // devices, s), encoder_steps)
    backbone.requires_grad_(False)
    public.encode = EncodingCache(
        Path(work) / "encoded", backbone.encode_clip, hash_weights(backbone.vae, backbone.encoder)
    )
    task = DenoiserTask(backbone).requires_grad_(True)
    stage.fit("denoiser", task, lambda s: public.draw_windows(4 // devices, s), denoiser_steps)
    stage.fit("decoder", DecoderTask(backbone), lambda s: public.draw_frames(16 // devices, s)[0], decoder_steps)

    if not fabric.is_global_zero:
        return
    backbone.save_pretrained(out)
    stage.write_log(
        Path(out) / "training.json", {"data": data_root, "people": len(public.people), "clips": len(public.clips)}
    )
    print(f"base model in {out}")


class Stage:
    """Fits one task after another, each resumable; what ships is the average of the last weights."""

    def __init__(self, fabric: Any, folder: Path, save_every: int = 100) -> None:
        self.fabric, self.folder, self.save_every = fabric, folder, save_every
        self.log: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def fit(self, name: str, task: Any, draw: Callable[[int], Any], steps: int) -> None:
        """Train `task` for `steps` optimizer steps on what `draw(seed)` gives, from its checkpoint if it has one."""
        import torch
        from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
        from tqdm import tqdm

        fabric, path = self.fabric, self.folder / f"{name}.ckpt"
        average = AveragedModel(task.model, multi_avg_fn=get_ema_multi_avg_fn(0.998))
        fabric.to_device(average)
        module, optimizer = fabric.setup(task, task.configure_optimizers())
        peak = task.learning_rate
        state = {"task": module, "optimizer": optimizer, "average": average, "step": 0, "losses": [], "seconds": 0.0}
        if path.exists():
            state |= fabric.load(path, {k: state[k] for k in ("task", "optimizer", "average")}, weights_only=True)
        began, recent = time.monotonic() - state["seconds"], []
        steps_left = range(state["step"], steps)
        bar = tqdm(
            steps_left, name, initial=state["step"], total=steps, mininterval=5, disable=not fabric.is_global_zero
        )
        for step in bar:
            for group in optimizer.param_groups:
                group["lr"] = peak * learning_rate_factor(step, steps)
            draw_seed = step * fabric.world_size + fabric.global_rank
            torch.manual_seed(draw_seed)
            batch = fabric.to_device(draw(draw_seed))
            with fabric.autocast():
                loss = module.training_step(batch, step)
            fabric.backward(loss)
            fabric.clip_gradients(module, optimizer, max_norm=1.0)
            optimizer.step()
            optimizer.zero_grad()
            average.update_parameters(task.model)
            recent.append(loss.item())
            if (step + 1) % self.save_every == 0 or step + 1 == steps:
                mean = sum(recent) / len(recent)
                recent = []
                state["losses"].append([step + 1, mean])
                state |= {"step": step + 1, "seconds": time.monotonic() - began}
                partial = path.with_suffix(".partial")
                fabric.save(partial, state)
                if fabric.is_global_zero:
                    partial.rename(path)
                bar.set_postfix(loss=f"{mean:.4f}")
        task.model.load_state_dict(average.module.state_dict())
        task.model.eval()
        self.log[name] = {"steps": steps, "seconds": round(state["seconds"]), "losses": state["losses"]}

    def write_log(self, path: Path, data: dict[str, Any]) -> None:
        """Write what was trained on, for how long, and how the losses fell."""
        path.write_text(json.dumps(data | self.log, indent=1) + "\n")


def learning_rate_factor(step: int, steps: int) -> float:
    """Return the share of the peak learning rate: a short warm-up, a plateau, a cosine to zero over the last 40 %."""
    warm = min(1.0, (step + 1) / 100)
    left = min(1.0, (steps - step) / (0.4 * steps))
    return warm * (0.5 - 0.5 * math.cos(math.pi * left))


def _say(what: str) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == total or done % 50 == 0:
            print(f"{what}: {done}/{total}", file=sys.stderr)

    return progress


if __name__ == "__main__":
    sys.exit(run_command(pretrain))
