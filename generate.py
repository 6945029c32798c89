"""Makes a portrait speak.

    python generate.py --source_image me.jpg --driving_audio speech.wav --output out.mp4
    python generate.py --source_image me.jpg --driving_audio speech.wav --output out.mp4 --adapter runs/demo/global

Portrait and sound go in, an mp4 with 25 frames a second comes out. How the model speaks is the base model's; with the
global adapter of a federated run it is what the clients taught it together, and with a client's folder the client's own
adapter acts beside the global one.
"""

import sys
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse.typing import ClosedUnitInterval, PositiveInt, restricted_number_type

from commandline import DenoisingSteps, Seed, run_command
from lightning_modules.args import DEFAULT_MEMORY, Details, HeadMotion, MemoryArgs, Precision
from memory_advice import advise_generation, advised

if TYPE_CHECKING:  # torch and diffusers take seconds, which `--help` should not
    from torch import Tensor

    from datamodules.driving import Driving
    from datamodules.playback import Playback
    from lightning_modules.backbone import Backbone
    from lightning_modules.sampling import SamplingOptions

ALIASES = {
    "image_path": "source_image",
    "reference_image": "source_image",
    "audio_path": "driving_audio",
    "driven_audio": "driving_audio",
    "cfg_scale": "guidance_scale",
}

GuidanceScale = restricted_number_type("GuidanceScale", float, [(">=", 0), ("<", float("inf"))])

SMALL_PICTURE = 256
"""Up to this many pixels a side, H.264 needs more bits per pixel to look the same."""

BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}, {rate_fmt}"


def generate(
    source_image: str,
    output: str,
    driving_audio: str | None = None,
    driving_video: str | None = None,
    adapter: str | None = None,
    base: str = "assets/base",
    head_motion: HeadMotion = "auto",
    crop: Literal["auto", "face", "none"] = "auto",
    steps: DenoisingSteps = 3,
    guidance_scale: GuidanceScale = 1.0,
    seed: Seed = 0,
    temperature: ClosedUnitInterval | None = None,
    details: Details = "decoded",
    fps: PositiveInt = 25,
    size: PositiveInt | None = None,
    device: str = "auto",
    compile: bool = False,
    precision: Precision = "32",
    memory: MemoryArgs = DEFAULT_MEMORY,
) -> None:
    """Make a portrait speak.

    Args:
        source_image: Picture of the person, in any format that Pillow reads, or a video, whose first frame is taken.
            Also --image_path, --reference_image.
        output: The mp4 to write; its folder is made if missing.
        driving_audio: Sound or video file with the speech, of any length; that of --driving_video if left out. Also
            --audio_path, --driven_audio.
        driving_video: Video whose head motion is followed, by a base model that knows such. The motion is read from
            <name>.truth.safetensors beside it.
        adapter: runs/<run>/global, or runs/<run>/clients/<id>, which takes the global adapter along. None if left out.
        base: Folder of the base model.
        head_motion: Where no --driving_video gives it: natural turns and blinks, still, or free, which leaves it to the
            model; auto is natural if the base model knows head motion, else free.
        crop: auto and face cut the picture around the largest face, none takes the centre square. A square picture of
            the model's size is taken whole.
        steps: Denoising steps: three do for the base that ships; others may need more.
        guidance_scale: Above 1 the mouth follows the sound more, at twice the time.
        seed: Of the start noise and the natural motion. On one machine the same flags give the same video.
        temperature: How much is left to the start noise: 0 is steadiest, 1 is what the model was trained on. What suits
            the base model if left out.
        details: What the autoencoder loses of each frame is found on the moved portrait (decoded), or on the still one
            and moved along (warped), which is faster and restores two thirds as much.
        fps: Frames per second of the video; the model makes 25, which are repeated or left out.
        size: Height and width of the video, even; the model's own if left out.
        device: auto, cpu, cuda or cuda:1.
        compile: Compile denoiser and decoder first, which takes a minute or more: it pays for long videos.
        precision: 16 and bf16 halve memory and are faster on a GPU; 16 needs one.
        memory: What else saves memory.
    """
    from compute import pick_device
    from datamodules.driving import read_driving
    from datamodules.playback import Playback
    from datamodules.portraits import crop_to_face, read_picture
    from lightning_modules.efficiency.compiled import compile_backbone, demand_compiler
    from lightning_modules.efficiency.memory import move_to_device
    from lightning_modules.personalised import load_personalised
    from lightning_modules.sampling import SamplingOptions

    playback = Playback(fps, size)
    if compile and (memory.eight_bit or memory.offload):
        raise ValueError("`--compile` needs weights at hand. Got memory.eight_bit or memory.offload. Leave one out.")
    if compile:
        demand_compiler()
    demand_output(output, inputs=[source_image, driving_audio, driving_video])
    chosen = pick_device(device)
    picture = read_picture(source_image)
    given = read_driving(driving_audio, driving_video)
    with advised(partial(advise_generation, precision, device, memory)):
        backbone = move_to_device(load_personalised(base, adapter), chosen, precision, memory)
        portrait = crop_to_face(picture, backbone.shape.size, crop, source_image)
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        driving = choose_driving(given, backbone, portrait, head_motion, seed)
        if compile:
            compile_backbone(backbone)
        options = SamplingOptions(steps, seed, temperature, guidance_scale, batch=memory.windows, details=details)
        write_talking_video(backbone, portrait, driving, playback, output, options)
    print(f"{output}: {playback.count(driving.frames) / fps:.2f} s.")


def choose_driving(
    driving: "Driving", backbone: "Backbone", portrait: "Tensor", head_motion: HeadMotion, seed: int
) -> "Driving":
    """Return sound and head motion, which is chosen if no video gives one.

    Args:
        driving: As it was read.
        backbone: The model.
        portrait: RGB uint8 (3, height, width) at the model's size.
        head_motion: See `natural_motion.choose_motion`.
        seed: Of a motion that is drawn.

    Raises:
        ValueError: If the model is to be given a motion, and knows nothing of such.
    """
    from lightning_modules.natural_motion import choose_motion, demand_known_motion

    if driving.motion is None:
        return replace(driving, motion=choose_motion(backbone, portrait, driving.frames, head_motion, seed))
    demand_known_motion(backbone, "--driving_video", "pass its sound alone, as `--driving_audio`")
    return driving


def write_talking_video(
    backbone: "Backbone",
    portrait: "Tensor",
    driving: "Driving",
    playback: "Playback",
    output: str | Path,
    options: "SamplingOptions",
) -> None:
    """Write the mp4 while it is made; beside a GPU, decoding and H.264 have a thread each.

    What is held at once does not grow with the sound, but for the sound itself and its features: 6 MB a minute.

    Args:
        backbone: The model, adapters merged.
        portrait: RGB uint8 (3, height, width) at the model's size.
        driving: The sound, and the head motion if the model is to be given one.
        playback: Rate and size of the video.
        output: The mp4.
        options: How frames are made of noise.
    """
    from tqdm import tqdm

    from datamodules.audio import sound_encoder
    from datamodules.prefetch import prefetch
    from datamodules.video import write_video
    from lightning_modules.denoised import decode_stream
    from lightning_modules.sampling import stream_denoised

    sound = sound_encoder(backbone.speech)(driving.waveform, driving.frames)
    bar = {"desc": f"{len(sound)} frames", "unit": "frame", "unit_scale": 1 / options.steps, "bar_format": BAR}
    with tqdm(total=len(sound) * options.steps, **bar) as progress:
        denoised = stream_denoised(backbone, portrait, sound, options, motion=driving.motion, progress=progress.update)
        # Threads of torch that share a CPU wait for each other: two frames where one thread makes three.
        stage = iter if backbone.device.type == "cpu" else prefetch
        with closing(stage(decode_stream(backbone, stage(denoised)))) as pieces:
            write_video(
                output,
                playback.show(chain.from_iterable(pieces), len(sound)),
                fps=playback.fps,
                waveform=driving.waveform[: playback.samples(len(sound))],
                crf=10 if (playback.size or backbone.shape.size) <= SMALL_PICTURE else 18,
            )


def demand_output(output: str, inputs: list[str | None]) -> None:
    """Refuse an output that cannot be an mp4 or would replace what it is made from.

    Raises:
        ValueError: If so.
    """
    path = Path(output)
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"`--output` must end in .mp4. Got {output}.")
    if path.is_dir():
        raise ValueError(f"`--output` must be a file. Got the folder {output}.")
    if path.resolve() in {Path(one).resolve() for one in inputs if one}:
        raise ValueError(f"`--output` would replace {output}, which the video is made from. Choose another name.")


if __name__ == "__main__":
    sys.exit(run_command(generate, ALIASES))
