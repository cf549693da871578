"""Stimuli as PNG, .npy and zip, and PNGs as stimuli: exact where they can be, refused where they cannot."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from mango.errors import InputError
from mango.service.images import MOST_DRAWN, check_drawn, is_image, npy, png, stimulus_of, zipped
from mango.service.schemas import ImageSettings

RNG = np.random.default_rng(0)


def octets(channels, height=5, width=7):
    return RNG.integers(0, 256, (channels, height, width), np.uint8)


def pixels(data):
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_goes_out_and_comes_back_bit_by_bit(channels):
    stimulus = octets(channels).astype(np.float32) / np.float32(255)
    data = png(stimulus, ImageSettings())
    assert data == png(stimulus, ImageSettings())
    np.testing.assert_array_equal(stimulus_of(data, stimulus.shape, "x.png"), stimulus)


@pytest.mark.parametrize(
    ("size", "box"), [((10, 14), (0, 10, 0, 14)), ((10, 28), (0, 10, 7, 21)), ((30, 7), (12, 17, 0, 7))]
)
def test_it_is_enlarged_into_the_middle_of_the_background(size, box):
    stimulus = octets(3).astype(np.float32) / np.float32(255)
    drawn = pixels(png(stimulus, ImageSettings(size=size, background=0.25)))
    top, bottom, left, right = box
    assert drawn.shape == (*size, 3)
    scale = (bottom - top) // 5
    np.testing.assert_array_equal(drawn[top:bottom:scale, left:right:scale], np.rint(stimulus * 255).transpose(1, 2, 0))
    outside = np.ones(size, bool)
    outside[top:bottom, left:right] = False
    assert (drawn[outside] == 64).all()


def test_other_upsamplings_are_smooth():
    stimulus = np.zeros((1, 2, 2), np.float32)
    stimulus[0, 0] = 1
    for kind, smooth in (("nearest", False), ("bilinear", True), ("bicubic", True)):
        drawn = pixels(png(stimulus, ImageSettings(size=(32, 32), upsampling=kind)))
        assert (len(np.unique(drawn)) > 2) == smooth


@pytest.mark.parametrize("shape", [(2, 4, 4), (4, 4), (3, 4, 4, 4), (8,)])
def test_what_is_no_image_is_not_drawn(shape):
    assert not is_image(shape)
    with pytest.raises(InputError, match=r"are no images .*ask for them as \.npy"):
        png(np.zeros(shape, np.float32), ImageSettings())
    with pytest.raises(InputError, match="none can be uploaded"):
        stimulus_of(b"", shape, "x.png")


@pytest.mark.parametrize("value", [-0.001, 1.001, np.nan, np.inf])
def test_what_lies_outside_is_not_clipped(value):
    stimulus = np.full((1, 2, 2), 0.5, np.float32)
    stimulus[0, 1, 1] = value
    with pytest.raises(InputError, match=r"an image lies in \[0, 1\]"):
        png(stimulus, ImageSettings())
    np.testing.assert_array_equal(np.load(io.BytesIO(npy(stimulus))), stimulus)


def test_so_many_pixels_are_drawn_at_once():
    settings = ImageSettings(size=(4096, 4096))
    check_drawn(MOST_DRAWN // 4096**2, (3, 32, 32), settings)
    with pytest.raises(InputError, match=r"got 17 images of 4096 x 4096; ask for 16 at a time"):
        check_drawn(MOST_DRAWN // 4096**2 + 1, (3, 32, 32), settings)
    check_drawn(1000, (3, 512, 512), ImageSettings())
    with pytest.raises(InputError, match="got 2,000 images of 512 x 512"):
        check_drawn(2000, (3, 512, 512), ImageSettings())


def test_a_zip_lists_what_it_holds():
    files = {"b.png": b"one", "a.png": b"two"}
    data = zipped(files, {"a.png": {"number": 7}})
    assert data == zipped(files, {"a.png": {"number": 7}})  # the same sum whenever it is asked for
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["b.png", "a.png", "manifest.json"]
        listed = json.loads(archive.read("manifest.json"))["files"]
    assert listed == [
        {"name": "b.png", "sha256": hashlib.sha256(b"one").hexdigest()},
        {"name": "a.png", "number": 7, "sha256": hashlib.sha256(b"two").hexdigest()},
    ]


# -- uploads --------------------------------------------------------------------------------------------------------


def saved(image, **options):
    out = io.BytesIO()
    image.save(out, options.pop("format", "PNG"), **options)
    return out.getvalue()


def test_opaque_images_of_eight_bits_are_taken_in_any_dress():
    colours = octets(3)
    image = Image.fromarray(colours.transpose(1, 2, 0).copy())
    expected = colours.astype(np.float32) / np.float32(255)
    for data in (saved(image), saved(image.convert("RGBA")), saved(image, optimize=True, compress_level=9)):
        np.testing.assert_array_equal(stimulus_of(data, (3, 5, 7), "x.png"), expected)
    grey = Image.fromarray(octets(1)[0])
    for one in (grey, grey.convert("P"), grey.convert("LA")):
        np.testing.assert_array_equal(
            stimulus_of(saved(one), (1, 5, 7), "x.png")[0], np.asarray(grey) / np.float32(255)
        )
        assert stimulus_of(saved(one), (3, 5, 7), "x.png").shape == (3, 5, 7)
    black = saved(Image.new("1", (7, 5), 1))
    assert (stimulus_of(black, (1, 5, 7), "x.png") == 1).all()


def test_what_would_be_altered_is_refused():
    deep = saved(Image.fromarray(RNG.integers(0, 65536, (5, 7), np.uint16)))
    glassy = Image.fromarray(octets(4).transpose(1, 2, 0).copy())
    palette = Image.new("RGB", (7, 5), "red").convert("P")
    for data, words in (
        (deep, "x.png: expected 8 bits a channel"),
        (saved(glassy), "x.png: expected an opaque image"),
        (saved(palette, transparency=palette.getpixel((0, 0))), "x.png: expected an opaque image"),
        (
            saved(Image.new("L", (8, 5))),
            "expected an image of 5 x 7 pixels, as stimuli are; got 5 x 8; resize it first",
        ),
        (saved(Image.new("L", (7, 5)), format="GIF"), "x.png: expected a PNG file"),
        (saved(Image.new("L", (7, 5)), format="JPEG"), "x.png: expected a PNG file"),
        (b"", "x.png: expected a PNG file"),
    ):
        with pytest.raises(InputError, match=words):
            stimulus_of(data, (1, 5, 7), "x.png")


def test_a_bomb_is_refused_by_its_size_before_it_is_unpacked():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    with pytest.raises(InputError, match=r"x\.png: expected"):
        stimulus_of(bomb, (1, 5, 7), "x.png")


def test_a_damaged_file_is_an_input_error_and_nothing_else():
    whole = bytearray(saved(Image.fromarray(octets(3, 16, 16).transpose(1, 2, 0).copy()), optimize=True))
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for place in RNG.integers(0, len(data), RNG.integers(1, 6)):
            data[place] = RNG.integers(0, 256)
        data = data[: RNG.integers(0, len(data) + 1)] if RNG.random() < 0.5 else data
        try:
            stimulus_of(bytes(data), (3, 16, 16), "x.png")
        except InputError:
            refused += 1
    assert refused > 200
