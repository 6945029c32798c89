"""A base model takes the place of an older one, and of nothing else."""

import pytest

from lightning_modules.model_folder import demand_replaceable, replace_folder

MARK = "backbone.json"


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(folder.name)
    return folder


def test_only_what_is_new_empty_or_alike_is_replaced(tmp_path):
    demand_replaceable(tmp_path / "new", MARK)
    demand_replaceable(tmp_path, MARK)
    demand_replaceable(fill(tmp_path / "older", MARK, "unet/config.json"), MARK)
    for taken in (fill(tmp_path / "runs", "demo/precious"), fill(tmp_path, "file") / "file"):
        with pytest.raises(ValueError, match=r"must be new or hold backbone\.json"):
            demand_replaceable(taken, MARK)


def test_what_a_replacement_that_was_cut_short_left_is_no_hindrance(tmp_path):
    fill(tmp_path / "base.old", "unet/config.json")
    older, new = fill(tmp_path / "base", MARK), fill(tmp_path / "base.partial", MARK)
    replace_folder(new, older)
    assert [path.name for path in tmp_path.iterdir()] == ["base"]
    assert (older / MARK).read_text() == "base.partial"
