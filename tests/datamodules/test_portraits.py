"""Any picture that people have, upright and in colour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.portraits import crop_to_face, read_picture
from datamodules.video import write_video


@pytest.fixture
def picture() -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20, 0] = pixels[:, 20:, 2] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp"])
def test_formats_are_read(picture, tmp_path, name):
    picture.save(tmp_path / name)
    read = read_picture(tmp_path / name)
    assert read.shape == (3, 20, 40)
    assert read.dtype == torch.uint8
    assert read[0, 10, 5] > 200 > 60 > read[2, 10, 5]


def test_the_camera_may_have_lain_on_its_side(picture, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stands upright after a quarter turn clockwise
    picture.save(tmp_path / "a.png", exif=exif)
    read = read_picture(tmp_path / "a.png")
    assert read.shape == (3, 40, 20)
    assert read[:, 0, 10].tolist() == [255, 0, 0], "What was on the left is on top."


def test_of_a_video_the_first_frame_is_taken(tmp_path):
    frames = torch.zeros(3, 3, 32, 48, dtype=torch.uint8)
    frames[0, 0], frames[1:, 2] = 255, 255
    write_video(tmp_path / "a.MOV", frames)
    read = read_picture(tmp_path / "a.MOV")
    assert read.shape == (3, 32, 48)
    assert read[0].float().mean() > 200 > 60 > read[2].float().mean()
    (tmp_path / "b.mp4").write_bytes((tmp_path / "a.MOV").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"b\.mp4 cannot be read: it has no picture"):
        read_picture(tmp_path / "b.mp4")


def test_grey_and_transparent_pictures_become_colour(picture, tmp_path):
    picture.convert("L").save(tmp_path / "grey.png")
    assert len(read_picture(tmp_path / "grey.png")) == 3
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "glass.png")
    assert read_picture(tmp_path / "glass.png").min() == 255


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, name):
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (4, 1))
    Image.fromarray(ramp).save(tmp_path / name)
    assert read_picture(tmp_path / name)[:, 0].tolist() == [list(range(256))] * 3


def test_sixteen_bits_of_another_order_of_bytes_are_scaled_too(tmp_path):
    ramp = np.tile(np.arange(256, dtype=">u2") * 257, (4, 1)).astype(">u2")
    Image.frombytes("I;16B", (256, 4), ramp.tobytes()).save(tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif")[0, 0].tolist() == list(range(256))


def test_sixteen_bits_are_stood_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.tile(np.arange(256, dtype=np.uint16) * 257, (4, 1))).save(tmp_path / "a.png", exif=exif)
    read = read_picture(tmp_path / "a.png")
    assert read.shape == (3, 256, 4)
    assert read[0, :, 0].tolist() == list(range(256))


@pytest.mark.parametrize(("kind", "said"), [(np.float32, "floats"), (np.int32, "32-bit")])
def test_numbers_without_a_known_white_are_refused(tmp_path, kind, said):
    Image.fromarray(np.ones((8, 8), kind)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=rf"a\.tif cannot be read: it holds {said}.*save it with 8") as error:
        read_picture(tmp_path / "a.tif")
    assert "\n" not in str(error.value)


def test_truncated_and_missing_pictures_are_named(picture, tmp_path):
    picture.resize((400, 400), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"a\.jpg cannot be read"):
        read_picture(tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError, match=r"b\.jpg"):
        read_picture(tmp_path / "b.jpg")


def test_no_face_is_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match=r"me\.jpg .*no face.*--crop none"):
        crop_to_face(torch.zeros(3, 80, 80, dtype=torch.uint8), 64, "auto", "me.jpg")
    assert crop_to_face(torch.zeros(3, 80, 90, dtype=torch.uint8), 64, "none", "me.jpg").shape == (3, 64, 64)


def test_what_a_codec_cannot_do_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "a.heic").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.heic cannot be read: .*save it as JPEG or PNG"):
        read_picture(tmp_path / "a.heic")

    def fail(path):
        raise RuntimeError("Failed to decode image")

    monkeypatch.setattr(Image, "open", fail)
    (tmp_path / "a.avif").touch()
    with pytest.raises(ValueError, match=r"a\.avif cannot be read: it is no picture or it is broken \(Failed"):
        read_picture(tmp_path / "a.avif")
