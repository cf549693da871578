"""Stimuli as PNG, .npy and zip: deterministic bytes, so that their SHA-256 is the same whenever they are asked for."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mango.errors import InputError
from mango.service.schemas import ImageSettings

UPSAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every file in a zip
MANIFEST = "manifest.json"
MOST_DRAWN = 2**28  # pixels of one answer: some seconds of work
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")  # Pillow's names; others have more bits, or other colours


def is_image(shape: Sequence[int]) -> bool:
    """Whether stimuli ``(channels, height, width)`` can be drawn: grey or red, green and blue."""
    return len(shape) == 3 and shape[0] in (1, 3)


def check_drawn(count: int, shape: Sequence[int], settings: ImageSettings) -> None:
    """Looks, before anything is drawn, how much it will be.

    Raises:
        InputError: more pixels than one answer may have.
    """
    height, width = settings.size or shape[-2:]
    if count * height * width > MOST_DRAWN:
        raise InputError(
            f"at most {MOST_DRAWN:,} pixels are drawn at once; got {count:,} images of {height} x {width}; ask for "
            f"{MOST_DRAWN // (height * width):,} at a time"
        )


def png(stimulus: NDArray[np.float32], settings: ImageSettings) -> bytes:
    """A stimulus ``(1 or 3, height, width)`` in [0, 1], as large as fits the size that is set, in its middle.

    Raises:
        InputError: it is no image.
    """
    if not is_image(stimulus.shape):
        raise InputError(f"stimuli {tuple(stimulus.shape)} are no images (1 or 3, height, width); ask for them as .npy")
    if not ((stimulus >= 0) & (stimulus <= 1)).all():
        raise InputError("an image lies in [0, 1], and this stimulus does not; ask for it as .npy")
    octets = np.rint(stimulus * 255).astype(np.uint8)
    image = Image.fromarray(octets[0] if len(octets) == 1 else np.ascontiguousarray(octets.transpose(1, 2, 0)))
    if settings.size is not None:
        height, width = settings.size
        scale = min(height / image.height, width / image.width)
        drawn = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        inside = image.resize(drawn, UPSAMPLING[settings.upsampling])
        grey = round(settings.background * 255)
        image = Image.new(image.mode, (width, height), grey if image.mode == "L" else (grey,) * 3)
        image.paste(inside, ((width - drawn[0]) // 2, (height - drawn[1]) // 2))
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    """In numpy's format."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def zipped(files: Mapping[str, bytes], about: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Files and a manifest of their SHA-256 sums, and of what is said about each of them."""
    listed = [{"name": n, **about.get(n, {}), "sha256": hashlib.sha256(data).hexdigest()} for n, data in files.items()]
    everything = {**files, MANIFEST: json.dumps({"files": listed}, indent=1).encode()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in everything.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
    return out.getvalue()


def stimulus_of(png_bytes: bytes, shape: Sequence[int], name: str) -> NDArray[np.float32]:
    """An image that was uploaded, as a stimulus ``(channels, height, width)``; it is never resized.

    Raises:
        InputError: no PNG, of another size, transparent, or of more than 8 bits a channel.
    """
    if not is_image(shape):
        raise InputError(f"stimuli {tuple(shape)} are no images, so none can be uploaded")
    channels, height, width = shape
    try:
        with Image.open(io.BytesIO(png_bytes), formats=["PNG"]) as image:
            if (image.height, image.width) != (height, width):
                raise InputError(
                    f"{name}: expected an image of {height} x {width} pixels, as stimuli are; "
                    f"got {image.height} x {image.width}; resize it first"
                )
            if image.mode not in EIGHT_BITS:
                raise InputError(f"{name}: expected 8 bits a channel; got an image of mode {image.mode!r}")
            flat = image.convert("RGBA") if image.has_transparency_data else image
            if flat is not image and np.asarray(flat)[..., 3].min() < 255:
                raise InputError(f"{name}: expected an opaque image; lay it on a background first")
            octets = np.asarray(flat.convert("L" if channels == 1 else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        why = "it is none" if isinstance(error, UnidentifiedImageError) else f"it cannot be read: {error}"
        raise InputError(f"{name}: expected a PNG file; {why}") from error
    planes = octets[None] if channels == 1 else octets.transpose(2, 0, 1)
    return np.ascontiguousarray(planes, np.float32) / np.float32(255)
