"""A base model takes the place of an older one, and of nothing else."""

import pytest

from lightning_modules.model_folder import BASE_FILE, demand_replaceable


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(folder.name)
    return folder


def test_only_what_is_new_empty_or_alike_is_replaced(tmp_path):
    demand_replaceable(tmp_path / "new", BASE_FILE)
    demand_replaceable(tmp_path, BASE_FILE)
    demand_replaceable(fill(tmp_path / "older", BASE_FILE, "unet/config.json"), BASE_FILE)
    for taken in (fill(tmp_path / "runs", "demo/precious"), fill(tmp_path, "file") / "file"):
        with pytest.raises(ValueError, match=r"must be new or hold backbone\.json"):
            demand_replaceable(taken, BASE_FILE)
