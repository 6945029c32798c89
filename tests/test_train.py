"""The command: one order of the private steps, one line for each mistake, the same run on any number of devices."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from jsonargparse import Namespace
from safetensors.torch import load_file

import train
from callbacks.args import ObserverArgs
from federation.agreed_settings import AgreedSettings
from federation.args import AggregationArgs, ClippingArgs, FederationArgs, OwnerArgs, PrivacyArgs, SecurityArgs
from federation.key_source import SeededKeys
from federation.local_cohort import LocalCohort
from federation.privacy.owner import OwnerRefusalError
from launching import lock_run_folder
from pipeline import build_pipeline
from tests.tiny_command import CONFIG, ROOT, CommandData, CommandModule, train_command


def names(tmp_path, enabled: bool, sampling: str) -> list[str]:
    pipeline = build_pipeline(
        SeededKeys(0),
        AgreedSettings(
            PrivacyArgs(enabled=enabled),
            FederationArgs(sampling=sampling),
            AggregationArgs(),
            SecurityArgs(),
            ClippingArgs(),
        ),
        OwnerArgs(),
        clients=8,
        out_dir=tmp_path,
    )
    return [type(step).__name__ for step in pipeline]


def test_the_order_of_the_private_steps_is_fixed(tmp_path):
    steps = ["DeviceLedgers", "ISFAAggregation", "ClipUpdate", "DistributedNoise", "SecureAggregation"]
    assert names(tmp_path, True, "hidden") == ["PrivacyBudget", "HiddenSampling", *steps]
    assert names(tmp_path, True, "visible") == ["PrivacyBudget", "VisibleSampling", *steps]
    assert names(tmp_path, True, "all") == ["PrivacyBudget", *steps]


def test_without_privacy_only_weights_are_left(tmp_path):
    assert names(tmp_path, False, "all") == ["PrivacyOff", "ISFAAggregation"]


def parse(tmp_path, *args: str):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    argv = ["--config", str(tmp_path / "tiny.yaml"), *args]
    return train.make_parser(argv).parse_args(argv)


def test_the_module_is_told_what_is_trained(tmp_path):
    chosen = parse(tmp_path, "--federation.trainable", "backbone", "--module.learning_rate", "0.5")
    assert dict(chosen.module.init_args) == {"learning_rate": 0.5, "trainable": "backbone"}


@pytest.mark.parametrize(("precision", "fits"), [("32-true", False), ("16-mixed", True), ("bf16-mixed", True)])
def test_frozen_weights_of_16_bit_need_arithmetic_of_16_bit(precision, fits):
    chosen = Namespace(module=Namespace(init_args={"frozen_dtype": "16"}), precision=precision)
    with nullcontext() if fits else pytest.raises(ValueError, match=r"`--module.frozen_dtype 16` needs"):
        train.demand_precision(chosen)


@pytest.mark.parametrize(("error", "code"), [(RuntimeError("a bug"), 1), (OSError("no disk"), 2)])
def test_a_failure_ends_the_process_even_if_other_devices_wait_for_it(monkeypatch, capsys, error, code):
    ended = []
    monkeypatch.setattr(train, "run", Mock(side_effect=error))
    monkeypatch.setattr("federation.strategy.end_alone", ended.append)
    assert train.main() == code
    assert ended == [code]
    assert ("Traceback" in capsys.readouterr().err) == (code == 1)


def complain(monkeypatch, capsys, *args: str) -> str:
    """Run the command in this process and return its complaint, which must be one line with exit code 2."""
    monkeypatch.setattr("sys.argv", ["train.py", *args])
    assert train.main() == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("train.py: ")
    return said.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--federation.rounds", "0"], "`--federation.rounds` must be at least 1. Got 0."),
        (["--federation.roundz", "3"], "roundz"),
        (["--federation.sampling", "secret"], "secret"),
        (["--privacy.delta", "2", "--privacy.target_epsilon", "8"], "`--privacy.delta`"),
        (["--privacy.delta", "0.2"], "`--privacy.delta`"),
        (["--data.people", "0"], "`--data.people` must be at least 1. Got 0."),
        (["--data.people", "7"], "at least 8 clients"),
        (["--precision", "16-mixed"], "needs a GPU"),
        (["--transport", "flower", "--clients_at_once", "2"], "must do without --clients_at_once 2"),
        (["--devices", "0"], "`--devices` must be at least 1. Got 0."),
        (["--observers.evaluation_batches", "-1"], "`--observers.evaluation_batches`"),
        (["--resume", "runs/none"], "runs/none"),
        (["--federation.round", "3"], "--federation.round 3"),
        (["--privacy.max_epsilon", "0"], "`--privacy.max_epsilon` must be above 0. Got 0.0."),
        (["--accelerator", "cuda", "--devices", "1"], "`--accelerator cuda --devices 1` cannot be had here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, args, reason):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(CONFIG)
    assert reason in complain(monkeypatch, capsys, "--config", "tiny.yaml", *args)
    assert not Path("runs").exists()


def test_a_config_that_is_not_there_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "none.yaml" in complain(monkeypatch, capsys, "--config", "none.yaml")


def test_a_config_with_a_value_for_a_group_of_settings_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(CONFIG.replace("privacy: {key_source: seeded}", "privacy: 3"))
    assert "`privacy` must hold settings by name. Got 3." in complain(monkeypatch, capsys, "--config", "tiny.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("script", ["train", "generate", "evaluate", "pretrain", "device"])
def test_help_needs_no_torch(script):
    code = f"""
import runpy, sys
sys.argv, sys.path = ["{script}.py", "--help"], [{str(ROOT)!r}, *sys.path]
try:
    runpy.run_path({str(ROOT / script)!r} + ".py", run_name="__main__")
except SystemExit:
    print("LOADED", [name for name in ("torch", "lightning") if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout
    assert "--seed" in said or script == "device"
    assert "LOADED []" in said


def states(run: Path) -> dict[str, dict]:
    """Return the tensors of a run's last round: the server's and every client's."""
    newest = sorted((run / "checkpoints").glob("round_*"))[-1]
    return {path.relative_to(newest).as_posix(): load_file(path) for path in sorted(newest.rglob("*.safetensors"))}


def assert_same(first: Path, second: Path) -> None:
    one, other = states(first), states(second)
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].keys() == other[name].keys()
        assert all(one[name][key].equal(other[name][key]) for key in one[name]), name


@pytest.fixture
def no_search(monkeypatch):
    """Spare the search for the size of a federation in which the noise would do."""
    monkeypatch.setattr("federation.privacy.summary.smallest_population", lambda *args: 9)


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """Return the run of a process of its own that trained for one round; tests copy it before they change it."""
    folder = tmp_path_factory.mktemp("begun")
    done = train_command(folder, "--config", "tiny.yaml", "--strategy", "client_parallel", "--federation.rounds", "1")
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "tiny"


@pytest.mark.slow
@pytest.mark.usefixtures("no_search")
def test_one_and_two_devices_and_a_resumed_run_end_with_the_same_bits(begun, tmp_path, monkeypatch, capsys):
    two = train_command(tmp_path, "--config", "tiny.yaml", "--devices", "2")
    assert two.returncode == 0, two.stderr
    for part in ("epsilon", "runs/tiny", "protects nobody"):
        assert part in two.stdout
    shutil.copytree(begun, tmp_path / "runs" / "one")
    monkeypatch.chdir(tmp_path)
    said = complain(monkeypatch, capsys, "--config", "tiny.yaml", "--out_dir", "runs/one")
    assert "--resume runs/one" in said
    resume = ["--resume", "runs/one", "--federation.rounds", "2", "--strategy", "auto"]  # no process group in this one
    monkeypatch.setattr("sys.argv", ["train.py", *resume])
    assert train.main() == 0
    assert_same(tmp_path / "runs" / "tiny", tmp_path / "runs" / "one")
    anew = ["--config", "runs/one/config.yaml"]
    assert train.make_parser(anew).parse_args(anew).resume is None


@pytest.mark.slow
def test_two_processes_cannot_go_on_with_one_run(begun, tmp_path, monkeypatch, capsys):
    shutil.copytree(begun, tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    with lock_run_folder(Path("one")):
        said = complain(monkeypatch, capsys, "--resume", "one", "--federation.rounds", "2", "--strategy", "auto")
    assert "Another works in one." in said
    assert_same(begun, Path("one"))


@pytest.mark.slow
def test_a_resume_that_is_refused_leaves_the_runs_settings(begun, tmp_path, monkeypatch, capsys):
    shutil.copytree(begun, tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    before = Path("one/config.yaml").read_text()
    refused = {"seed": ["--seed", "5"], "Leave `--out_dir` out": ["--out_dir", "two"]}
    more = ["--federation.rounds", "2", "--privacy.noise_multiplier", "0.9"]
    for named, change in (refused | {"--privacy.noise_multiplier 0.9; it was": more}).items():
        said = complain(monkeypatch, capsys, "--resume", "one", "--strategy", "auto", *change)
        assert named in said
    assert Path("one/config.yaml").read_text() == before
    assert_same(begun, Path("one"))


@pytest.mark.slow
@pytest.mark.usefixtures("no_search")
def test_a_run_that_ran_out_of_memory_names_a_knob_and_goes_on(tmp_path, monkeypatch, capsys):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    train_cohort = LocalCohort.collect

    def fail_later(cohort, state):
        if state.index == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return train_cohort(cohort, state)

    monkeypatch.setattr(LocalCohort, "collect", fail_later)
    monkeypatch.setattr("sys.argv", ["train.py", "--config", "tiny.yaml"])
    assert train.main() == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("train.py: Out of memory on the GPU. Turn, cheapest first: --precision 16-mixed")
    assert "--resume runs/tiny" in said
    monkeypatch.setattr(LocalCohort, "collect", train_cohort)
    monkeypatch.setattr("sys.argv", ["train.py", "--resume", "runs/tiny"])
    assert train.main() == 0
    assert (tmp_path / "runs/tiny/checkpoints/round_0002").is_dir()


@pytest.mark.slow
def test_what_a_run_leaves(begun):
    left = {path.relative_to(begun).as_posix() for path in begun.rglob("*") if path.is_file()}
    assert {"config.yaml", "metrics.csv", "local/metrics.csv", "privacy_card.md", "privacy_ledger.jsonl"} <= left
    assert {"checkpoints/round_0001/server.safetensors", "checkpoints/round_0001/clients/ann/state.safetensors"} <= left
    assert any(name.startswith("released/events") for name in left)
    assert not [name for name in left if "partial" in name]
    argv = ["--config", str(begun / "config.yaml")]
    assert train.make_parser(argv).parse_args(argv).federation.rounds == 1


def run(folder: Path, people: int = 8, **settings: object) -> Path:
    """Train tiny parts in this process; settings go to the args that know them."""
    args = {"module": CommandModule(), "data": CommandData(people), "observers": ObserverArgs(), "accelerator": "cpu"}
    kinds = (FederationArgs, AggregationArgs, PrivacyArgs, SecurityArgs, ClippingArgs, OwnerArgs)
    for kind in kinds:
        name = kind.__name__.removesuffix("Args").lower()
        known = kind.__dataclass_fields__.keys() & settings.keys()
        args[name] = kind(**{field: settings.pop(field) for field in known})
    return train.train(**args, **settings, out_dir=str(folder))


def figures(run_folder: Path) -> dict[str, set[str]]:
    """Return the tags of each table."""
    tables = {"released": run_folder / "metrics.csv", "local": run_folder / "local" / "metrics.csv"}
    return {kind: {line.split(",")[1] for line in path.read_text().splitlines()[1:]} for kind, path in tables.items()}


@pytest.mark.usefixtures("no_search")
def test_an_empty_visible_cohort_is_a_round_that_moves_nothing_and_is_charged(tmp_path):
    folder = run(tmp_path / "run", rounds=2, local_steps=1, sampling="visible", sample_rate=1e-9)
    first, second = sorted((folder / "checkpoints").glob("round_*/server.safetensors"))
    assert load_file(first)["global_adapter"].equal(load_file(second)["global_adapter"])
    assert (folder / "privacy_ledger.jsonl").read_text().count('"event": "release"') == 2


@pytest.mark.slow
@pytest.mark.usefixtures("no_search")
def test_the_budget_ends_a_run_after_the_last_round_it_allows(tmp_path):
    folder = run(tmp_path / "run", rounds=5, local_steps=1, max_epsilon=5.0)
    assert [path.name for path in sorted((folder / "checkpoints").iterdir())] == ["round_0001", "round_0002"]
    assert "2 |" in next(line for line in (folder / "privacy_card.md").read_text().splitlines() if "releases T" in line)


@pytest.mark.slow
@pytest.mark.usefixtures("no_search")
def test_devices_add_up_their_runs_and_stop_at_what_their_owners_allow(tmp_path):
    (tmp_path / "owner.json").write_text('{"epsilon": 6}')
    owner = {"ledgers": str(tmp_path / "devices"), "limits": str(tmp_path / "owner.json")}
    done = []
    for name in ("one", "two"):
        folder = run(tmp_path / name, rounds=2, local_steps=1, **owner)
        done.append(len(list((folder / "checkpoints").glob("round_*"))))
    assert done == [2, 1]
    assert len(list((tmp_path / "devices").iterdir())) == 8


@pytest.mark.usefixtures("no_search")
def test_a_run_beyond_what_the_owners_allow_does_not_begin(tmp_path):
    (tmp_path / "owner.json").write_text('{"rounds": 1}')
    with pytest.raises(OwnerRefusalError, match=r"rounds 2 \(allowed: 1\)"):
        run(tmp_path / "run", rounds=2, limits=str(tmp_path / "owner.json"))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_owners_are_asked_where_privacy_is_off_too(tmp_path):
    limits = tmp_path / "owner.json"
    limits.write_text('{"epsilon": 6}')
    asked = {"rounds": 1, "local_steps": 1, "enabled": False, "limits": str(limits)}
    with pytest.raises(OwnerRefusalError, match="privacy off"):
        run(tmp_path / "refused", **asked)
    assert not (tmp_path / "refused" / "checkpoints").exists()
    limits.write_text('{"privacy_off": true}')
    assert (run(tmp_path / "allowed", **asked) / "checkpoints" / "round_0001").is_dir()


@pytest.mark.usefixtures("no_search")
def test_figures_are_told_apart(tmp_path):
    tags = figures(run(tmp_path / "run", rounds=1, local_steps=1, sampling="all"))
    assert tags["released"] == {
        "released/epsilon",
        "released/epsilon_coins_known",
        "released/epsilon_coins_secret",
        "released/noise_to_signal",
        "released/seconds",
        "released/signal_share",
        "released/step_norm",
        "released/upload_bytes",
    }
    assert {"local/loss", "local/loss/ann", "local/clipped", "local/isfa_weight/bob"} <= tags["local"]


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_run_without_privacy_learns_and_claims_nothing(tmp_path, capsys, adaptive):
    settings = {"enabled": False, "adaptive": adaptive}
    folder = run(tmp_path / "run", people=3, rounds=2, local_steps=1, sampling="all", **settings)
    assert "PRIVACY IS OFF" in capsys.readouterr().err
    assert "No epsilon holds" in (folder / "privacy_card.md").read_text()
    assert "released/epsilon" not in figures(folder)["released"]
    assert not (folder / "privacy_ledger.jsonl").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("no_search")
def test_an_adaptive_clip_norm_is_released_and_carried_to_the_next_round(tmp_path):
    folder = run(tmp_path / "run", rounds=2, local_steps=1, sampling="all", adaptive=True)
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()[1:]]
    norms = [float(row[2]) for row in rows if row[1] == "released/clip_norm"]
    assert norms[0] == 1.0
    assert abs(math.log(norms[1])) <= 0.4 + 1e-9
    assert norms[1] != 1.0
