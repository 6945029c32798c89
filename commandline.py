"""Runs a function as a command: its signature is the flags, its docstring the help, and user errors are one line."""

import logging
import os
import shutil
import signal
import sys
from argparse import ArgumentError
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace, auto_cli, set_parsing_settings
from jsonargparse.typing import restricted_number_type
from safetensors import SafetensorError

Seed = restricted_number_type("Seed", int, [(">=", 0), ("<", 2**63)])
Accelerator = Literal["auto", "cpu", "cuda", "mps"]
TrainingPrecision = Literal["32-true", "16-mixed", "bf16-mixed"]
DenoisingSteps = restricted_number_type("DenoisingSteps", int, [(">=", 1), ("<=", 1000)])

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the word of another process, and a terminal that is closed."""

MENDABLE = (ArgumentError, OSError, ValueError, SafetensorError)
"""What a user can mend: a wrong flag or setting, a missing or broken file, a full disk (safetensors' own error)."""


def run_command(
    function: Callable[..., None], aliases: Mapping[str, str] | None = None, argv: Sequence[str] | None = None
) -> int:
    """Call `function` with the flags of the command line and return the exit code.

    Args:
        function: What the command does.
        aliases: Other names of flags, without dashes.
        argv: Flags; those of the process if not given.
    """
    name = name_command()
    logging.basicConfig(format=f"{name}: %(message)s", level=logging.WARNING)
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    flags = rename_flags(sys.argv[1:] if argv is None else argv, aliases or {})
    options = {"as_positional": False, "exit_on_error": False, "allow_abbrev": False}
    return report_errors(name, lambda: auto_cli(function, args=flags, **options))


def name_command() -> str:
    """Return what a user calls this command: `train.py`, or `federation.privacy.plan` where it began by `-m`."""
    module = sys.modules["__main__"].__spec__
    return module.name.removesuffix(".__main__") if module else Path(sys.argv[0]).name


def report_errors(name: str, command: Callable[[], object]) -> int:
    """Run a command and return its exit code.

    Whatever is `MENDABLE` is one line on stderr and exit code 2; anything else is a bug and keeps its traceback.
    """
    try:
        command()
    except MENDABLE as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted.", file=sys.stderr)
        return 130
    return 0


def demand_named_settings(parser: ArgumentParser, chosen: Namespace) -> None:
    """Raise ValueError where a group of settings is one value, as in `privacy: 3`, which jsonargparse lets pass."""
    for name in parser.groups:
        if name in chosen and not isinstance(chosen[name], Namespace):
            raise ValueError(f"`{name}` must hold settings by name. Got {chosen[name]}.")


def tensorboard_command(folder: Path) -> str:
    """Return the command that shows a folder's events, by the TensorBoard that this Python has."""
    is_on_path = shutil.which("tensorboard") is not None
    program = "tensorboard" if is_on_path else os.path.relpath(Path(sys.executable).with_name("tensorboard"))
    return f"{program} --logdir {folder}"


def end_on_signals() -> None:
    """Have whatever ends this process end it as Ctrl-C does, so that it ends all that it started."""
    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)


def rename_flags(argv: Sequence[str], aliases: Mapping[str, str]) -> list[str]:
    """Return the flags under their one name: `--driving-audio=x` and an alias of it become `--driving_audio=x`."""
    renamed = []
    for word in argv:
        if word.startswith("--") and len(word) > 2:
            flag, equals, value = word[2:].partition("=")
            flag = flag.replace("-", "_")
            word = f"--{aliases.get(flag, flag)}{equals}{value}"
        renamed.append(word)
    return renamed
