"""Where parts are looked for: a folder that is there, else the hub under a name that can only be a hub's."""

import pytest
import torch
from diffusers import AutoencoderKL
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import load_file

from lightning_modules.adopted.pretrained import load_autoencoder, obtain
from tests.tiny_checkpoint import make_autoencoder, make_tiny_autoencoder


def test_a_hub_id_is_handed_on_as_it_is():
    assert obtain("vae", "some-owner/some.name_2", str) == "some-owner/some.name_2"


def test_a_folder_comes_before_a_hub_id_of_the_same_name(tmp_path, monkeypatch):
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert obtain("vae", "owner/name", str) == "owner/name"
    assert obtain("vae", "~/owner", str) == str(tmp_path / "owner")


@pytest.mark.parametrize("given", ["gone", "./gone", "../models/gone", "~/gone", "a/b/c"])
def test_what_is_neither_is_never_looked_for_in_the_network(given):
    with pytest.raises(FileNotFoundError, match=r"there is no .*--parts\.speech"):
        obtain("speech", given, lambda given: pytest.fail("was loaded"))


def test_only_the_first_line_of_a_librarys_complaint_is_repeated():
    def load(given):
        raise OSError("It is not there.\nTry this.\nOr that.")

    with pytest.raises(FileNotFoundError, match=r"It is not there\. Get one from") as caught:
        obtain("speech", "a/b", load)
    assert "Try this" not in str(caught.value)


def test_a_complaint_without_words_is_called_by_its_kind():
    def load(given):
        raise NotADirectoryError

    with pytest.raises(FileNotFoundError, match=r"Got a/b: NotADirectoryError\. Get one from"):
        obtain("face_adapter", "a/b", load)


def test_a_hub_that_cannot_be_reached_is_called_so():
    """Libraries say then that the file does not exist."""

    def load(given):
        try:
            raise LocalEntryNotFoundError("An error happened while trying to locate the file on the Hub")
        except EntryNotFoundError as error:
            raise OSError("a/b does not appear to have a file named config.json") from error

    with pytest.raises(FileNotFoundError, match=r"Got a/b: the hub cannot be reached") as caught:
        obtain("vae", "a/b", load)
    assert "does not appear" not in str(caught.value)


def test_a_part_that_breaks_off_is_one_line_too(tmp_path):
    def load(given):
        return load_file(tmp_path / "half")

    (tmp_path / "half").write_bytes(b"version")
    with pytest.raises(FileNotFoundError, match=r"--parts\.speech.*header"):
        obtain("speech", str(tmp_path), load)


@pytest.mark.slow
def test_an_autoencoder_is_of_the_class_its_config_names(tmp_path):
    large, tiny = make_autoencoder(tmp_path / "kl"), make_tiny_autoencoder(tmp_path / "taesd")
    assert [type(load_autoencoder(str(path))).__name__ for path in (large, tiny)] == [
        "AutoencoderKL",
        "AutoencoderTiny",
    ]
    config = tmp_path / "kl" / "config.json"
    config.write_text(config.read_text().replace("AutoencoderKL", "AutoencoderDC"))
    with pytest.raises(ValueError, match="AutoencoderKL or AutoencoderTiny, and is AutoencoderDC"):
        load_autoencoder(str(large))


@pytest.mark.slow
def test_a_part_does_not_say_where_it_lay(tmp_path):
    vae = load_autoencoder(str(make_autoencoder(tmp_path / "somewhere")))
    vae.save_pretrained(tmp_path / "saved")
    assert "somewhere" not in (tmp_path / "saved" / "config.json").read_text()
    assert torch.equal(
        AutoencoderKL.from_pretrained(tmp_path / "saved").encoder.conv_in.weight, vae.encoder.conv_in.weight
    )
