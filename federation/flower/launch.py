"""Has a SuperLink run the relay, by Flower's own command."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

APP = Path(__file__).parent / "app"
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
"""Flower neither reports to its makers nor asks them for updates."""
SECONDS = 120.0
FRAME = " ╭╮╰╯│─+-|"
"""What Flower draws around its errors."""


def flower_environment(home: Path) -> dict[str, str]:
    """Return the environment of every Flower process; `home` holds its connections and nothing of the user's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # Flower starts commands of its own
    return {**os.environ, **QUIET, "FLWR_HOME": str(home), "PATH": path, "PYTHONUNBUFFERED": "1"}


def flower_command(name: str) -> str:
    """Return the path of a command that came with this Python's Flower.

    Raises:
        FileNotFoundError: If Flower is not installed.
    """
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing. Install Flower: pip install -r requirements-flower.txt")
    return str(path)


def write_connection(home: Path, name: str, address: str, authority: Path | None) -> None:
    """Name a SuperLink in Flower's settings; its certificate is checked against `authority`, None: no TLS, for tests.

    The address is that of its Control API, which lets its caller run code on every node: loopback only.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    trust = f'root-certificates = "{authority}"' if authority else "insecure = true"
    text = f'[superlink]\ndefault = "{name}"\n\n[superlink.{name}]\naddress = "{address}"\n{trust}\n'
    (home / "config.toml").write_text(text)


def demand_connection(home: Path, name: str) -> None:
    """Raise ValueError unless Flower is installed and its settings name a SuperLink: waiting would mend neither."""
    flower_command("flwr")
    path = home / "config.toml"
    try:
        known = tomllib.loads(path.read_text())["superlink"][name]
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError):
        known = None
    if not isinstance(known, dict):
        raise ValueError(
            f"{path} must have a section [superlink.{name}] with `address` and `root-certificates`. It has none. Write "
            "it, or name another folder with `--deployment.flower_home`."
        )


def run_relay(home: Path, connection: str, socket: Path) -> None:
    """Have the SuperLink run the relay and return when it has taken it on; raises ConnectionError if it does not."""
    arguments = ["run", str(APP), connection, "-c", f'socket="{socket}"']
    ask_superlink(connection, "run the relay", arguments, flower_environment(home))


def ask_superlink(connection: str, purpose: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Have a SuperLink do something, by Flower's own command.

    Args:
        connection: Its name.
        purpose: What it is to do, for the error.
        arguments: Of `flwr`.
        environment: As `flower_environment` returns it.

    Raises:
        ConnectionError: If it does not, with Flower's own words.
    """
    command = [flower_command("flwr"), *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise ConnectionError(f"The SuperLink {connection} did not answer within {SECONDS:g} seconds.") from None
    if done.returncode:
        words = [line.strip(FRAME) for line in (done.stderr.strip() or done.stdout).splitlines()]
        said = " ".join(filter(None, words)).removeprefix("Error ") or "nothing"
        raise ConnectionError(f"The SuperLink {connection} must {purpose}. It said: {said}")
