"""When memory runs out, the next cheapest knob is named, and a run that was begun can be gone on with."""

from __future__ import annotations

from functools import partial

import pytest
import torch

import train
from lightning_modules.args import MemoryArgs
from memory_advice import GENERATION, TRAINING, Knob, OutOfMemory, advise, advise_plainly, advised, is_out_of_memory


def settings(**changed: object) -> dict[str, object]:
    return {f"memory.{name}": value for name, value in vars(MemoryArgs()).items()} | {"precision": "32"} | changed


def turned(knobs: tuple[Knob, ...]) -> dict[str, object]:
    return {knob.setting: knob.saves for knob in knobs}


def test_the_cheapest_knob_that_is_left_comes_first():
    assert "Turn, cheapest first: --memory.windows 1 (" in str(advise(GENERATION, settings(), on_gpu=True))
    later = settings(**turned(GENERATION[:2]))
    assert "Turn, cheapest first: --precision bf16 (" in str(advise(GENERATION, later, on_gpu=True))
    later["precision"] = "16"
    assert "Turn, cheapest first: --memory.park_encoders true (" in str(advise(GENERATION, later, on_gpu=True))
    assert "Turn, cheapest first: --memory.eight_bit true (" in str(advise(GENERATION, later, on_gpu=False))


def test_when_every_knob_is_turned_that_is_said():
    assert "smaller frames" in str(advise(TRAINING, turned(TRAINING), on_gpu=True))


def test_a_module_without_such_settings_is_not_told_of_them():
    said = str(advise(TRAINING, {"precision": "32-true", "data.init_args.batch_size": 2}, on_gpu=True))
    assert "--precision 16-mixed" in said
    assert "--data.batch_size 1" in said
    assert "memory" not in said.split("Turn")[1]


def test_a_run_that_was_begun_is_told_only_what_it_can_go_on_with():
    chosen = turned(TRAINING) | {"module.init_args.frozen_dtype": "32", "module.init_args.memory.offload": False}
    assert "frozen_dtype 16" in str(advise(TRAINING, chosen, on_gpu=True))
    said = str(advise(TRAINING, chosen, on_gpu=True, goes_on="go on with X"))
    assert "frozen_dtype" not in said
    assert "offload" in said
    assert said.endswith("Nothing finished is lost: go on with X.")


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (MemoryError(), True),
        (RuntimeError("shapes do not fit"), False),
    ],
)
def test_other_errors_are_none_of_it(error, is_so):
    assert is_out_of_memory(error) is is_so


def test_commands_without_knobs_say_it_in_one_line():
    with pytest.raises(OutOfMemory, match=r"^Out of memory on the GPU\. Smaller frames\.$"):
        with advised(partial(advise_plainly, "Smaller frames.")):
            raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="shapes"), advised(partial(advise_plainly, "Smaller frames.")):
        raise RuntimeError("shapes do not fit")


@pytest.mark.slow
def test_every_flag_is_one():
    """A flag that the parser does not know would be worse than no advice."""
    argv = [word for knob in TRAINING for word in knob.flag.split()]
    chosen = train.make_parser(argv).parse_args(argv)
    assert not any(knob.is_left(chosen) for knob in TRAINING)
    assert all(knob.is_left(train.make_parser([]).parse_args([])) for knob in TRAINING)
