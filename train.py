"""Trains a talking head across clients, privately: `python train.py --config configs/demo.yaml --devices 2`.

The way of an update from client to server is fixed in `pipeline.py`: ISFA weight, clip, noise, mask on the client;
unmask, decode, weighted mean on the server.
"""

import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from callbacks.args import ObserverArgs
from commandline import Accelerator, Seed, TrainingPrecision, demand_named_settings, report_errors, tensorboard_command
from datamodules.first_device import is_first_device
from federation.args import (
    AggregationArgs,
    ClippingArgs,
    DeploymentArgs,
    FederationArgs,
    OwnerArgs,
    PrivacyArgs,
    SecurityArgs,
)
from memory_advice import advise_run, advised

DEFAULTS = {
    "module": {"class_path": "lightning_modules.talking_head.TalkingHead"},
    "data": {"class_path": "datamodules.clients.ClientDataModule"},
}

NOWHERE = DeploymentArgs()
UNNAMED = "runs/train"
"""Folder of a run that has neither a config nor a name."""


class Module(Protocol):  # not the federation's own: `--help` should not wait for torch
    """A LightningModule with the members of `federation.protocols.FederatedModule`."""

    def shared_parameters(self) -> Any: ...

    def personal_parameters(self) -> Any: ...


class Data(Protocol):
    """A LightningDataModule with the members of `federation.protocols.FederatedData`."""

    def num_examples(self, client: str) -> Any: ...


def train(
    module: Module,
    data: Data,
    federation: FederationArgs,
    aggregation: AggregationArgs,
    privacy: PrivacyArgs,
    security: SecurityArgs,
    clipping: ClippingArgs,
    owner: OwnerArgs,
    observers: ObserverArgs,
    deployment: DeploymentArgs = NOWHERE,
    transport: Literal["local", "flower"] = "local",
    devices: int = 1,
    clients_at_once: int = 1,
    strategy: str = "auto",
    accelerator: Accelerator = "auto",
    precision: TrainingPrecision = "32-true",
    seed: Seed = 0,
    out_dir: str | None = None,
    resume: str | None = None,
    settings: str = "",
) -> Path:
    """Train a shared adapter across clients, and each client's own.

    Args:
        module: What is trained; TalkingHead if not given (--module.help lightning_modules.talking_head.TalkingHead).
        data: The clients' clips; ClientDataModule if not given (--data.help datamodules.clients.ClientDataModule).
        federation: How clients train.
        aggregation: How updates are averaged.
        privacy: What leaves a client.
        security: Against whom.
        clipping: How the clip norm moves.
        owner: What each device of a simulation counts and refuses for itself; people's own decide on theirs.
        observers: What is shown.
        deployment: Where the clients' devices are found, with `--transport flower`.
        transport: local trains all clients on this machine; flower asks people's devices (docs/deployment.md).
        devices: Processes that train clients at the same time.
        clients_at_once: Clients that each device trains in one batch, which a GPU does in less time; results are the
            same up to rounding, and memory grows with it.
        strategy: auto is client_parallel on several devices.
        accelerator: Where to compute.
        precision: 16-mixed needs a GPU.
        seed: Of all training draws; keys and noise come from `--privacy.key_source`.
        out_dir: Folder of the run; runs/<name of the config> if not given.
        resume: Folder of a run to go on with.
        settings: The configuration, saved as config.yaml.

    Returns:
        The folder of the run.
    """
    from callbacks.saved_settings import SavedSettings
    from compute import make_fabric
    from federation.agreed_settings import AgreedSettings
    from federation.group_training import demand_groups
    from federation.rounds import FederatedRounds
    from launching import (
        choose_run_folder,
        keep_clips_apart,
        lock_run_folder,
        make_observers,
        read_clients,
        read_public_people,
    )
    from pipeline import build_pipeline
    from remote_training import EnrolledClients, demand_remote, join_devices

    is_remote = transport == "flower"
    if is_remote:
        demand_remote(privacy, federation, owner, devices, clients_at_once)
    demand_groups(module, federation, clients_at_once)
    folder = choose_run_folder(out_dir or UNNAMED, resume)
    fabric = make_fabric(accelerator, devices, strategy, precision)
    agreed = AgreedSettings(privacy, federation, aggregation, security, clipping)
    with ExitStack() as opened:
        if is_remote:
            remote = join_devices(deployment, module, seed, agreed)
            opened.callback(remote.nodes.close)
            people = EnrolledClients(remote.session)
        else:
            remote, people = None, read_clients(data, module, processes=devices)
        public = read_public_people(observers.public_root, data, module)
        pipeline = build_pipeline(agreed.keys(seed), agreed, owner, len(people.clients), folder, remote=is_remote)
        opened.enter_context(lock_run_folder(folder))  # which makes it: a mistake up to here leaves nothing behind
        keep_clips_apart(folder, people, goes_on=resume is not None)
        fabric.launch()  # further devices begin only now: they find the demo people drawn and the clips in the cache
        shown = make_observers(fabric, module, people, public, observers, agreed, folder, remote=is_remote)
        rounds = FederatedRounds(
            fabric,
            module,
            people,
            agreed,
            pipeline=pipeline,
            observers=[SavedSettings(folder, settings), *shown],
            checkpoint_dir=folder / "checkpoints",
            seed=seed,
            resume=resume is not None,
            remote=remote,
            clients_at_once=clients_at_once,
        )
        rounds.run()
    return folder


def make_parser(argv: Sequence[str], reads_classes: bool = True) -> ArgumentParser:
    """Return the parser of `train`; a mere `--help` does without the classes that take seconds to import.

    Args:
        argv: What will be parsed.
        reads_classes: Whether module and data are checked against their classes; else they are taken as they stand.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog="train.py", description=__doc__, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", action="config", help="Settings as YAML, e.g. configs/demo.yaml.")
    parser.add_argument("--plan", action="store_true", help="Say what the run will need, and do not start it.")
    parser.add_function_arguments(train, skip={"settings", *(() if reads_classes else DEFAULTS)})
    if not reads_classes:
        for name in DEFAULTS:
            parser.add_argument(f"--{name}", type=as_it_stands)
    elif not {"-h", "--help"} & set(argv):
        parser.set_defaults(DEFAULTS)
        parser.link_arguments("federation.trainable", "module.init_args.trainable")
    return parser


def as_it_stands(value: Any) -> Any:
    """Return a setting that is not looked at; for `Any` jsonargparse would import the class that it names."""
    return value


def run(argv: Sequence[str]) -> Path | None:
    """Parse the command line and train.

    Returns:
        The folder of the run; None if it was only planned.
    """
    parser = make_parser(argv)
    chosen = parse_settings(parser, argv)
    if chosen.pop("plan"):
        from planning import plan_run

        print(plan_run(chosen))
        return None
    kept = chosen.clone()
    kept.resume = None  # what a run saves must start another one, too
    settings = parser.dump(kept)
    from federation.seeding import seed_training

    seed_training(chosen.seed)  # weights that are drawn, not loaded, follow from the seed, too
    with advised(partial(advise_run, chosen)):
        return train(**parser.instantiate(chosen), settings=settings)


def parse_settings(parser: ArgumentParser, argv: Sequence[str]) -> Namespace:
    """Return what the command line asks for; a run that is resumed starts from its own settings."""
    chosen = parser.parse_args(argv)
    if chosen.resume and not chosen.config:
        if chosen.out_dir:
            raise ValueError(f"`--resume` goes on in {chosen.resume}. Leave `--out_dir` out. Got {chosen.out_dir}.")
        config = Path(chosen.resume) / "config.yaml"
        if not config.is_file():
            raise FileNotFoundError(f"`--resume` must name the folder of a run. Got {chosen.resume}: no config.yaml.")
        chosen = parser.parse_args(["--config", str(config), *argv])
    demand_named_settings(parser, chosen)
    config = chosen.pop("config")
    if not chosen.out_dir:
        chosen.out_dir = str(Path("runs") / Path(str(config[0])).stem) if config else UNNAMED
    demand_precision(chosen)
    return chosen


def demand_precision(chosen: Namespace) -> None:
    """Raise ValueError where frozen weights are kept in 16 bit and nothing would compute in it."""
    frozen = (chosen.module.get("init_args") or {}).get("frozen_dtype", "32")
    if frozen != "32" and chosen.precision == "32-true":
        raise ValueError(f"`--module.frozen_dtype {frozen}` needs `--precision 16-mixed` or bf16-mixed. Got 32-true.")


def show_results(folder: Path | None) -> None:
    """Name what a run left behind."""
    if folder is not None and is_first_device():
        print(f"The run is in {folder}; see it with: {tensorboard_command(folder)}")
        for video in sorted(folder.glob("*/samples/*.mp4")):
            print(f"Sample: {video}")


def main() -> int:
    """Run the command and return its exit code."""
    try:
        code = report_errors("train.py", lambda: show_results(run(sys.argv[1:])))
    except Exception:
        traceback.print_exc()
        code = 1
    if code and "torch" in sys.modules:
        from federation.strategy import end_alone

        end_alone(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
