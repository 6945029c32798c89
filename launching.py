"""What `train.py` needs before the first round: a folder, clips, and observers with what they call."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import torch
from lightning import LightningDataModule
from lightning.fabric import Fabric

from callbacks.adapter_worth import AdapterWorth
from callbacks.args import ObserverArgs
from callbacks.checkpoint import Checkpoint
from callbacks.contributions import Contributions
from callbacks.held_out_loss import find_tested
from callbacks.monitor import EarlyLog, Monitor
from callbacks.progress import Progress
from callbacks.released_worth import ReleasedWorth
from callbacks.samples import Samples, Speaker
from datamodules.clients import ClientDataModule
from datamodules.demo.folders import fill_if_demo
from datamodules.first_device import is_first_device, speak_once
from datamodules.kept_splits import keep_splits
from datamodules.video import write_video
from federation.agreed_settings import AgreedSettings
from federation.checkpoints import RoundFolders
from federation.folder_lock import lock_folder
from federation.hooks import FederationCallback
from federation.protocols import FederatedData, FederatedModule
from federation.vectors import read_vector, write_vector
from lightning_modules.base_folder import load_base, save_base
from lightning_modules.model_folder import fingerprint
from lightning_modules.talking_head import TalkingHead


def choose_run_folder(out_dir: str, resume: str | None) -> Path:
    """Return the folder of the run, without making it.

    Raises:
        FileNotFoundError: If there is nothing to resume.
        ValueError: If a new run would mix with one that is there.
    """
    if resume is not None:
        if not RoundFolders(Path(resume) / "checkpoints").committed():
            raise FileNotFoundError(f"`--resume` must name the folder of a run. Got {resume}, which holds no round.")
        return Path(resume)
    folder = Path(out_dir)
    if RoundFolders(folder / "checkpoints").committed():
        raise ValueError(
            f"`--out_dir` must hold no run. Got {folder}. Go on with `--resume {folder}`, or name another folder."
        )
    return folder


def lock_run_folder(folder: Path) -> AbstractContextManager[None]:
    """Keep other runs out of a folder; further devices of this run, which run `train.py` from its top, are let in.

    Raises:
        ValueError: If another run is in: both would write the same rounds, and the ledger would count neither right.
    """
    if not is_first_device():
        return nullcontext()
    return lock_folder(folder, f"A run's folder is one process's at a time. Another works in {folder}. Wait for it.")


def read_clients(data: FederatedData, module: FederatedModule, processes: int) -> FederatedData:
    """Return the data with everybody's clips, told how the module encodes them; makes the demo people if asked for.

    Further devices of a run come here after rank 0, in processes of their own; they read anew only what
    `--data.cache_dir` does not keep.

    Raises:
        ValueError: If the frames are not of the size that the base model knows.
    """
    speak_once()
    if isinstance(data, ClientDataModule):
        if data.size != module.frame_size:
            raise ValueError(f"`--data.size` must be the base model's, {module.frame_size}. Got {data.size}.")
        if is_first_device():
            fill_if_demo(data.root, data.size, processes)
        data.set_encoder(module.encode_clip, module.encoder_hash)
    if isinstance(data, LightningDataModule):
        data.setup("fit")
    return data


def keep_clips_apart(folder: Path, data: FederatedData, *, goes_on: bool) -> None:
    """Have what a run holds out stay held out, whatever becomes of the recordings; see `keep_splits`."""
    if isinstance(data, ClientDataModule):
        keep_splits(folder, data, goes_on=goes_on)


def read_public_people(root: str | None, data: FederatedData, module: FederatedModule) -> ClientDataModule | None:
    """Read people who are shown in `released/*`, with the clients' size and crop; None if there are none."""
    if root is None or not isinstance(data, ClientDataModule):
        return None
    return read_clients(ClientDataModule(root, data.size, data.crop, cache_dir=data.cache_dir), module, processes=1)


def make_observers(
    fabric: Fabric,
    module: FederatedModule,
    data: FederatedData,
    public: ClientDataModule | None,
    args: ObserverArgs,
    agreed: AgreedSettings,
    folder: Path,
    remote: bool,
) -> list[FederationCallback]:
    """Return what shows and keeps a run; a module without `denoising_error` or `generate` is not asked for them.

    Where clients' devices are elsewhere (`remote`), nothing of their clips is shown: none are here.
    """
    monitor, federation = Monitor(folder), agreed.federation
    observers: list[FederationCallback] = []
    if remote:  # a simulation shows all that clients do
        observers.append(Contributions(agreed.aggregation.beta))
    observers += [Progress(federation.rounds, federation.local_steps, fabric.world_size), EarlyLog(monitor)]
    if hasattr(module, "export_adapter"):  # before what takes long: a crash should leave the newest adapters
        clients = data.clients if module.personal_parameters() and not remote else []
        whole = partial(export_denoiser, module) if federation.trainable == "backbone" else None
        observers.append(Checkpoint(module, clients, folder, whole))
    shown = [] if public is None else find_tested(public)
    if hasattr(module, "denoising_error") and args.evaluation_batches:
        if shown:
            observers.append(ReleasedWorth(fabric, module, public, args.evaluate_every, args.evaluation_batches))
        if not remote:
            observers.append(AdapterWorth(fabric, module, data, args.evaluate_every, args.evaluation_batches))
    if hasattr(module, "generate") and args.sample_frames:
        speakers = [Speaker(person, public, is_client=False) for person in shown[:1]]
        if not remote:
            speakers += [Speaker(client, data, is_client=True) for client in find_tested(data)]
        options = {"every": args.samples_every, "frames": args.sample_frames, "steps": args.sample_steps}
        observers.append(Samples(fabric, module, speakers, write_video, monitor, folder, **options))
    return [*observers, monitor]


def export_denoiser(module: TalkingHead, folder: Path) -> dict[str, str]:
    """Write the base model with the denoiser that a federation has trained; identity adapters belong to it then."""
    backbone = load_base(module.hparams.base)
    write_vector(list(backbone.unet.parameters()), read_vector(module.shared_parameters()))
    save_base(backbone, folder, torch.float32)
    return {"base": fingerprint(folder)}
