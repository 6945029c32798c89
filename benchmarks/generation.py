"""Measures how fast a portrait speaks, and in how much memory: `python benchmarks/generation.py`.

Each measurement is a process of its own, from features of the sound to the finished mp4, the model loaded before. The
same video is made stage after stage, everything of a stage before the next, and as `generate.py` does it: frames are
decoded and encoded while later ones are denoised. The sound is noise and the portrait is, too: what they show takes no
time. Memory is the largest resident size of the process on a CPU, and what torch allocated on a GPU.
"""

import json
import subprocess
import sys
import time
from dataclasses import asdict, astuple, dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone

import torch

from benchmarks.report import RESULTS, Bar, bars_table, markdown_table, save_results
from commandline import run_command
from compute import pick_device
from datamodules.audio import log_mel_windows
from datamodules.clips import FPS, SAMPLE_RATE
from datamodules.driving import Driving
from datamodules.playback import Playback
from datamodules.video import write_video
from generate import write_talking_video
from lightning_modules.backbone import Backbone
from lightning_modules.denoised import decode_stream
from lightning_modules.efficiency.compiled import compile_backbone
from lightning_modules.natural_motion import choose_motion
from lightning_modules.personalised import load_personalised
from lightning_modules.sampling import SamplingOptions, stream_denoised

How = Literal["stage by stage", "streamed", "streamed, compiled"]


@dataclass(frozen=True)
class Taking:
    """What one video took."""

    frames_per_second: float
    cpu_seconds: float
    """Of all threads, per frame: other programs on the machine disturb it less than the clock."""
    start_seconds: float
    """Before the first frame was timed: compiling, if asked for."""
    peak_megabytes: float
    """Of the whole process; on a GPU, of its memory."""


def measure_generation(
    base: str = "assets/base",
    device: str = "cpu",
    steps: int = 4,
    seconds: int = 10,
    long: int = 60,
    pairs: int = 3,
    compiled: bool = False,
    how: str | None = None,
    out: str = str(RESULTS / "generation.json"),
) -> list[Bar]:
    """Measure frames per second and peak memory, print them and return the bars.

    Args:
        base: Folder of the base model.
        device: Where to compute.
        steps: Denoising steps.
        seconds: Of the sound.
        long: Of a longer sound, whose peak memory is held against the shorter one's.
        pairs: Measurements of each way at the shorter length, in turns; the figure is their median.
        compiled: Measure a compiled denoiser and decoder, too.
        how: Only for the processes this command starts: make one video in this way and print what it took.
        out: Where the figures go.
    """
    if how is not None:
        print(json.dumps(asdict(take(how, base, device, steps, seconds))))
        return []
    ways: list[How] = ["stage by stage", "streamed", *(["streamed, compiled"] if compiled else [])]
    common = [f"--base={base}", f"--device={device}", f"--steps={steps}"]
    short = {way: [] for way in ways}
    for pair in range(pairs):
        for way in ways if pair % 2 == 0 else ways[::-1]:
            short[way].append(start(way, seconds, common))
    lasting = {way: start(way, long, common) for way in ways[:2]}
    bars = judge(short, lasting, "cpu" if device == "cpu" else "gpu")
    figures = {"seconds": seconds, "long": long, "steps": steps, "short": short, "lasting": lasting}
    save_results(out, figures | {"bars": bars})
    print(table(short, lasting, seconds, long), bars_table(bars), sep="\n\n")
    return bars


def take(how: How, base: str, device: str, steps: int, seconds: int) -> Taking:
    """Make one video and say what it took; a short one before warms up."""
    backbone = load_personalised(base).to(pick_device(device))
    if how == "streamed, compiled":
        compile_backbone(backbone)
    began = time.perf_counter()
    with TemporaryDirectory() as folder:
        make(how, backbone, steps, seconds=2, output=Path(folder) / "warm.mp4")
        ready, busy = time.perf_counter(), time.process_time()
        make(how, backbone, steps, seconds, output=Path(folder) / "video.mp4")
        ended, busy = time.perf_counter(), time.process_time() - busy
    frames = seconds * FPS
    return Taking(frames / (ended - ready), busy / frames, ready - began, peak_megabytes(device))


def make(how: How, backbone: Backbone, steps: int, seconds: int, output: Path) -> None:
    """Make one video of noise."""
    generator, size = torch.Generator().manual_seed(0), backbone.shape.size
    portrait = torch.randint(0, 256, (3, size, size), generator=generator, dtype=torch.uint8)
    waveform = 0.1 * torch.randn(seconds * SAMPLE_RATE, generator=generator)
    driving = Driving(waveform, choose_motion(backbone, portrait, seconds * FPS, "auto", seed=0))
    if how != "stage by stage":
        write_talking_video(backbone, portrait, driving, Playback(), output, SamplingOptions(steps))
        return
    mel = log_mel_windows(waveform, driving.frames)
    denoised = list(stream_denoised(backbone, portrait, mel, SamplingOptions(steps), motion=driving.motion))
    frames = list(chain.from_iterable(decode_stream(backbone, denoised)))
    write_video(output, Playback().show(frames, len(frames)), waveform=waveform, crf=10)


def peak_megabytes(device: str) -> float:
    """Return the most memory that was held: what torch allocated on a GPU, else the largest resident size."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    import resource  # Unix only

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def start(how: How, seconds: int, common: list[str]) -> Taking:
    """Make one video in a fresh process."""
    argv = [sys.executable, __file__, *common, f"--how={how}", f"--seconds={seconds}"]
    printed = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout
    taking = Taking(**json.loads(printed))
    print(f"{how}, {seconds} s: {taking.frames_per_second:.1f} frames/s, {taking.peak_megabytes:.0f} MB", flush=True)
    return taking


def judge(short: dict[How, list[Taking]], lasting: dict[How, Taking], kind: str) -> list[Bar]:
    """Return what must be shown."""
    speed = median(taking.frames_per_second for taking in short["streamed"])
    growth = lasting["streamed"].peak_megabytes - median(taking.peak_megabytes for taking in short["streamed"])
    ratios = [
        new.frames_per_second / old.frames_per_second
        for old, new in zip(short["stage by stage"], short["streamed"], strict=True)
    ]
    return [
        Bar.at_least(f"frames per second, {kind}", speed, 5.0),
        Bar.at_least("streamed, in units of stage by stage", median(ratios), 1.0),
        Bar.at_most("megabytes that the longer sound needs more", growth, 50.0),
    ]


def table(short: dict[How, list[Taking]], lasting: dict[How, Taking], seconds: int, long: int) -> str:
    """Return the figures as Markdown: medians of the shorter length, and the peaks of both."""
    rows = []
    for way, takings in short.items():
        medians = [median(values) for values in zip(*(astuple(taking) for taking in takings), strict=True)]
        rows.append([way, *medians, lasting[way].peak_megabytes if way in lasting else ""])
    header = ["", "frames/s", "CPU s per frame", "warm-up, s", f"MB, {seconds} s", f"MB, {long} s"]
    return markdown_table(header, rows)


if __name__ == "__main__":
    sys.exit(run_command(measure_generation))
