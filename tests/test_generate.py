"""From a picture and a sound to an mp4; whatever is wrong with them is one line, and no file is left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import generate
from commandline import run_command
from datamodules.reading import cropping
from datamodules.reading.cropping import Face
from datamodules.video import write_video
from lightning_modules.talking_head import TalkingHead

SECONDS = 0.5
FRAMES = 12
"""That fit into the sound."""


def hum(seconds: float) -> torch.Tensor:
    time = torch.arange(int(seconds * 16_000)) / 16_000
    return 0.3 * torch.sin(2 * torch.pi * 200 * time) * torch.sin(2 * torch.pi * 3 * time)


def write_wav(path: Path, waveform: torch.Tensor) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        samples = (waveform * 32_767).to(torch.int16).numpy()[None]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> Path:
    """A folder with a portrait of the model's size, a large one, a sound, and a video with and one without motion."""
    folder = tmp_path_factory.mktemp("inputs")
    pixels = torch.randint(0, 256, (64, 64, 3), generator=torch.Generator().manual_seed(3), dtype=torch.uint8).numpy()
    Image.fromarray(pixels).save(folder / "me.png")
    Image.fromarray(pixels).resize((120, 90)).save(folder / "large.jpg")
    write_wav(folder / "speech.wav", hum(SECONDS))
    frames = torch.full((FRAMES, 3, 64, 64), 80, dtype=torch.uint8)
    for name in ("known", "unknown"):
        write_video(folder / f"{name}.mp4", frames, waveform=hum(FRAMES / 25))
    motion = torch.linspace(-1, 1, FRAMES)[:, None].repeat(1, 6)
    save_file({"motion": motion, "mouth": torch.zeros(FRAMES)}, folder / "known.truth.safetensors")
    return folder


@pytest.mark.slow
def test_an_assembled_base_speaks_by_what_its_own_speech_model_hears(inputs, tiny_assembled, tmp_path):
    out = tmp_path / "out.mp4"
    flags = {"source_image": inputs / "me.png", "driving_audio": inputs / "speech.wav", "output": out}
    given = [f"--{name}={path}" for name, path in (flags | {"base": tiny_assembled}).items()]
    assert run_command(generate.generate, argv=[*given, "--steps=1", "--device=cpu", "--crop=none"]) == 0
    with av.open(str(out)) as video:
        assert sum(1 for _ in video.decode(video=0)) == FRAMES


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory, tiny_base) -> Path:
    """What a run leaves: a global adapter and one client's, both of which do something."""
    run, head = tmp_path_factory.mktemp("runs") / "demo", TalkingHead(str(tiny_base), identity_rank=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        for parameter in [*head.shared_parameters(), *head.personal_parameters()]:
            torch.nn.init.normal_(parameter, std=0.3)
    head.export_adapter("shared", run / "global", global_adapter="abc", round=2)
    head.export_adapter(
        "identity", run / "clients" / "alice" / "identity", client="alice", global_adapter="abc", round=2
    )
    return run


@dataclass(frozen=True)
class Command:
    """Runs generate.py on the tiny base."""

    inputs: Path
    base: Path
    output: Path

    def __call__(self, **flags: object) -> int:
        """Run with flags beside those that every test needs; None leaves one out."""
        usual = {
            "source_image": self.inputs / "me.png",
            "driving_audio": self.inputs / "speech.wav",
            "output": self.output,
            "base": self.base,
            "steps": 2,
        }
        chosen = {name: value for name, value in (usual | flags).items() if value is not None}
        argv = [f"--{name}={value}" for name, value in chosen.items()]
        return run_command(generate.generate, generate.ALIASES, argv)

    def make(self, **flags: object) -> bytes:
        """Run, expect a file and return its bytes."""
        assert self(**flags) == 0
        return self.output.read_bytes()


@pytest.fixture
def command(inputs, tiny_base, tmp_path) -> Command:
    return Command(inputs, tiny_base, tmp_path / "new" / "out.mp4")


@pytest.fixture
def moving_base(tiny_base, tmp_path) -> Path:
    """A base model that says it knows head motion."""
    base = shutil.copytree(tiny_base, tmp_path / "moving")
    shape = json.loads((base / "backbone.json").read_text())
    (base / "backbone.json").write_text(json.dumps(shape | {"knows_motion": True}))
    return base


@pytest.fixture(scope="module")
def plain(inputs, tiny_base, tmp_path_factory) -> bytes:
    """The video that is made without any further flag."""
    return Command(inputs, tiny_base, tmp_path_factory.mktemp("plain") / "out.mp4").make()


@pytest.mark.slow
def test_an_mp4_that_plays_everywhere_comes_out(command, capsys):
    command.make()
    with av.open(str(command.output)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.frames, video.average_rate, video.width, video.height) == (FRAMES, 25, 64, 64)
        assert audio.codec_context.name == "aac"
        sounding = float(audio.duration * audio.time_base)
    assert abs(sounding - FRAMES / 25) < 0.005, "The sound is cut to the length of the video."
    assert "12 frames: 100%" in capsys.readouterr().err
    assert [path.name for path in command.output.parent.iterdir()] == ["out.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize(("fps", "size"), [(24, 96), (60, 34)])
def test_rate_and_size_are_what_was_asked_for(command, fps, size):
    command.make(fps=fps, size=size)
    with av.open(str(command.output)) as container:
        video = container.streams.video[0]
        assert (video.frames, video.average_rate) == (FRAMES * fps // 25, fps)
        assert (video.width, video.height) == (size, size)


@pytest.mark.slow
def test_other_names_of_flags_mean_the_same(command, inputs, plain):
    for image, audio in [("image_path", "audio_path"), ("reference-image", "driven_audio")]:
        renamed = {image: inputs / "me.png", audio: inputs / "speech.wav"}
        assert command.make(source_image=None, driving_audio=None, **renamed) == plain


@pytest.mark.slow
def test_the_seed_decides(command, plain):
    assert command.make(seed=0) == plain != command.make(seed=1)


@pytest.mark.slow
def test_every_adapter_acts(command, demo_run, plain):
    shared = command.make(adapter=demo_run / "global")
    personal = command.make(adapter=demo_run / "clients" / "alice")
    assert len({plain, shared, personal}) == 3
    assert command.make(adapter=demo_run / "clients" / "alice" / "identity") == personal


@pytest.mark.slow
def test_head_motion_of_the_driving_video_is_followed(command, inputs, moving_base):
    followed = command.make(driving_video=inputs / "known.mp4", base=moving_base)
    assert followed != command.make(head_motion="still", base=moving_base)


def test_a_base_that_knows_no_head_motion_follows_no_video(command, inputs, capsys):
    said = "`--driving_video` needs a base model that has seen known head motion"
    assert_refused(command, capsys, said, driving_video=inputs / "known.mp4")


@pytest.mark.slow
def test_without_a_sound_file_the_driving_video_is_heard(command, inputs, moving_base):
    command.make(driving_audio=None, driving_video=inputs / "known.mp4", base=moving_base)
    with av.open(str(command.output)) as container:
        assert container.streams.video[0].frames == FRAMES
        assert container.streams.audio


def find(faces: list[Face], monkeypatch) -> None:
    monkeypatch.setattr(cropping, "_detector", lambda: lambda frame: faces)


@pytest.mark.slow
def test_of_several_faces_the_largest_is_taken_and_said(command, inputs, monkeypatch, caplog):
    find([Face(20, 20, 20), Face(70, 40, 40)], monkeypatch)
    both = command.make(source_image=inputs / "large.jpg")
    assert any("2 faces were found" in message for message in caplog.messages)
    find([Face(70, 40, 40)], monkeypatch)
    assert command.make(source_image=inputs / "large.jpg") == both


@pytest.mark.slow
def test_a_square_picture_of_the_models_size_is_not_searched(command, monkeypatch):
    find([], monkeypatch)
    assert command() == 0


@pytest.mark.slow
def test_a_picture_without_a_face_is_taken_only_on_request(command, inputs, monkeypatch, capsys):
    find([], monkeypatch)
    assert_refused(command, capsys, "no face", source_image=inputs / "large.jpg")
    assert command(source_image=inputs / "large.jpg", crop="none") == 0


def assert_refused(command: Command, capsys, said: str, **flags: object) -> None:
    """Expect exit code 2, one line that says `said`, and no file."""
    capsys.readouterr()
    assert command(**flags) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert not list(command.output.parent.glob("*"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"source_image": "none.png"}, "none.png"),
        ({"source_image": "speech.wav"}, "speech.wav cannot be read"),
        ({"driving_audio": "none.wav"}, "none.wav"),
        ({"driving_audio": "me.png"}, "me.png"),
        ({"driving_audio": "empty.wav"}, "empty.wav"),
        ({"driving_video": "none.mp4"}, "none.mp4"),
        ({"driving_video": "unknown.mp4"}, "unknown.truth.safetensors"),
        ({"base": "no_base"}, "No base model in"),
        ({"adapter": "no_adapter"}, "no_adapter"),
        ({"adapter": "."}, "No adapter in"),
        ({"output": "film.avi"}, ".mp4"),
    ],
)
def test_unusable_files_are_one_line(command, inputs, capsys, flags, said):
    (inputs / "empty.wav").touch()
    assert_refused(command, capsys, said, **{name: inputs / value for name, value in flags.items()})


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"source_image": None}, "source_image"),
        ({"driving_audio": None}, "--driving_audio"),
        ({"steps": 0}, "steps"),
        ({"seed": "x"}, "seed"),
        ({"fps": 0}, "fps"),
        ({"fps": 1000}, "--fps"),
        ({"size": 33}, "--size"),
        ({"crop": "nose"}, "crop"),
        ({"guidance_scale": -1}, "guidance_scale"),
        ({"device": "toaster"}, "--device"),
        ({"colour": "red"}, "colour"),
        ({"precision": "16", "device": "cpu"}, "--precision 16"),
        ({"compile": True, "memory.offload": True}, "--compile"),
        ({"memory.windows": 0}, "windows"),
    ],
)
def test_wrong_flags_are_one_line(command, capsys, flags, said):
    assert_refused(command, capsys, said, **flags)


def test_compiling_without_a_compiler_is_one_line(command, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert_refused(command, capsys, "no-such-compiler", compile=True)


def test_what_the_video_is_made_from_is_never_replaced(command, inputs, capsys):
    before = (inputs / "known.mp4").read_bytes()
    assert_refused(command, capsys, "replace", driving_video=inputs / "known.mp4", output=inputs / "known.mp4")
    assert (inputs / "known.mp4").read_bytes() == before


def test_nothing_is_left_of_a_video_that_could_not_be_written(command, monkeypatch, capsys):
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("datamodules.playback.crop_and_resize", fail)
    assert command() == 2
    assert "No space left" in capsys.readouterr().err
    assert not list(command.output.parent.glob("*"))


def test_when_memory_runs_out_the_knob_to_turn_is_named(command, monkeypatch, capsys):
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("lightning_modules.backbone.Backbone.decode", fail)
    assert command(**{"memory.windows": 1}) == 2
    assert "Turn, cheapest first: --memory.vae_slicing true" in capsys.readouterr().err.splitlines()[-1]
    assert not list(command.output.parent.glob("*"))


def test_help_and_wrong_flags_do_not_wait_for_torch():
    code = "import sys, generate; print(sorted({'torch', 'diffusers', 'peft'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(generate.__file__).parent
    )
    assert done.stdout.strip() == "[]", done.stderr
