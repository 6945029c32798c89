from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from federation.checkpoints import RoundFolders
from federation.client_states import ClientState
from tests.federation.test_server_state import server


def write_round(folders: RoundFolders, rounds_done: int, trained: tuple[str, ...]) -> Path:
    folders.begin(rounds_done)
    for client in trained:
        ClientState([torch.tensor([float(rounds_done)])]).save(folders.new_client_file(client, rounds_done))
    return folders.commit(server(rounds_done))


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_a_committed_round_is_read_back_bit_for_bit(tmp_path):
    folders = RoundFolders(tmp_path)
    assert folders.latest() is None
    write_round(folders, 1, ("ann",))
    latest, expected = folders.latest(), server(1)
    assert torch.equal(latest.global_adapter, expected.global_adapter)
    assert torch.equal(latest.velocity, expected.velocity)
    assert (latest.rounds_done, latest.clip_norm, latest.notes) == (1, 0.1, {"head": "f0", "x": 0.1})


def test_clients_who_did_not_train_or_are_gone_are_carried_over_and_two_rounds_kept(tmp_path):
    folders = RoundFolders(tmp_path)
    write_round(folders, 1, ("ann", "bob"))
    write_round(folders, 2, ("bob",))
    write_round(folders, 3, ())
    assert names(tmp_path) == ["round_0001", "round_0002", "round_0003"]
    folders.prune()
    assert names(tmp_path) == ["round_0002", "round_0003"]
    states = {client: ClientState.load(folders.client_file(client, 3)).personal[0].item() for client in ("ann", "bob")}
    assert states == {"ann": 1.0, "bob": 2.0}
    assert folders.client_file("cleo", 3) is None
    assert folders.client_file("ann", 3).parent.parent.parent.name == "round_0003"


def test_a_round_in_work_never_changes_the_committed_one(tmp_path):
    folders = RoundFolders(tmp_path)
    write_round(folders, 1, ("ann",))
    write_round(folders, 2, ())
    folders.begin(3)
    ClientState([torch.tensor([9.0])]).save(folders.new_client_file("ann", 3))
    assert ClientState.load(folders.client_file("ann", 2)).personal[0].item() == 9.0
    folders.abandon(3)
    assert ClientState.load(folders.client_file("ann", 2)).personal[0].item() == 1.0


def test_a_crash_before_the_rename_leaves_the_previous_round(tmp_path, monkeypatch):
    folders = RoundFolders(tmp_path)
    write_round(folders, 1, ("ann",))

    def crash(self: Path, target: Path) -> None:
        if self.suffix == ".partial":
            raise KeyboardInterrupt
        return replace(self, target)

    replace = Path.replace
    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write_round(folders, 2, ("ann",))
    monkeypatch.undo()
    assert names(tmp_path) == ["round_0001", "round_0002.partial"]
    assert RoundFolders(tmp_path).latest().rounds_done == 1

    again = RoundFolders(tmp_path)
    again.clean()
    assert names(tmp_path) == ["round_0001"]
    assert ClientState.load(again.client_file("ann", 1)).personal[0].item() == 1.0


@pytest.mark.parametrize("broken", ["server.json", "server.safetensors"])
@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_an_unreadable_round_gives_way_to_the_one_before(tmp_path, broken, damage):
    folders = RoundFolders(tmp_path)
    write_round(folders, 1, ("ann",))
    file = write_round(folders, 2, ("ann",)) / broken
    file.write_bytes(file.read_bytes()[:20]) if damage == "truncate" else file.unlink()
    with pytest.warns(UserWarning, match="round_0002 cannot be read"):
        folders.clean()
    assert folders.latest().rounds_done == 1
    assert names(tmp_path) == ["round_0001", "round_0002.unreadable"]
    assert write_round(folders, 2, ()).name == "round_0002"


def test_where_no_round_can_be_read_none_is_touched_and_no_run_goes_on(tmp_path):
    folders = RoundFolders(tmp_path)
    for rounds_done in (1, 2):
        state = write_round(folders, rounds_done, ("ann",)) / "server.json"
        state.write_text(state.read_text().replace("clip_norm", "clip norm"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    folders.clean()
    with pytest.raises(ValueError, match=r"round_0002 cannot be read .* Bring it back"):
        folders.open(server(0), resume=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == before


def test_rounds_are_ordered_by_number(tmp_path):
    folders = RoundFolders(tmp_path)
    write_round(folders, 9_999, ("ann",))
    write_round(folders, 10_000, ())
    assert folders.latest().rounds_done == 10_000
    write_round(folders, 10_001, ())
    folders.prune()
    assert names(tmp_path) == ["round_10000", "round_10001"]


def test_a_run_goes_on_from_the_newest_round_only_if_it_is_asked_to(tmp_path):
    folders, fresh = RoundFolders(tmp_path), server(0)
    assert folders.open(fresh, resume=False) is fresh
    write_round(folders, 1, ("ann",))
    with pytest.raises(ValueError, match="must hold no rounds"):
        folders.open(fresh, resume=False)
    assert folders.open(fresh, resume=True).rounds_done == 1
    with pytest.raises(ValueError, match="seed"):
        folders.open(server(0, seed=8), resume=True)


def test_a_round_is_on_disk_before_anything_follows_from_it(tmp_path, monkeypatch):
    """Or a power cut would leave it empty, and devices that went on would refuse the round before for good."""
    done, fsync, rename = [], os.fsync, Path.replace

    def note(descriptor: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).relative_to(tmp_path))
        fsync(descriptor)

    def note_name(self: Path, target: Path) -> Path:
        done.append(self.relative_to(tmp_path))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "replace", note_name)
    folder = write_round(RoundFolders(tmp_path), 1, ("ann",))
    partial = Path("round_0001.partial")
    assert done[-2:] == [partial, Path()]
    held = {partial / path.relative_to(folder) for path in folder.rglob("*")}
    assert {partial, *held} <= set(done[:-2])
