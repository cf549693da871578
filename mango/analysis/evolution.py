"""The best stimulus so far as an animation, one picture for each step of the way."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from mango.analysis.findings import Findings, number, picture

SIDE = 384  # twelve times the 32 pixels of CIFAR-10
BAND = 104  # for the number, the value and the curve
MOST = 48  # frames
PAPER, INK, MUTED, FOUND, NATURAL = "#15181c", "#eceff2", "#a3adb8", "#56b4e9", "#f0a030"
_BAND_COLOURS = np.array(  # the paper, and seven shades from it to each ink, for smooth letters
    [ImageColor.getrgb(PAPER)]
    + [
        [round(p + (i - p) * shade / 7) for p, i in zip(ImageColor.getrgb(PAPER), ImageColor.getrgb(ink), strict=True)]
        for ink in (INK, MUTED, FOUND, NATURAL)
        for shade in range(1, 8)
    ]
)


def evolution_gif(findings: Findings, *, milliseconds: int = 140) -> bytes:
    """The bytes of a GIF: best-so-far stimulus, number of evaluations, value, and a curve of the best so far.

    Improvements are shown in order, at most `MOST` of them, the first and the last always; the last stays longest.

    Args:
        findings: of a search that found a response.
        milliseconds: that a frame stays.
    """
    chosen = np.unique(np.linspace(0, len(findings.steps) - 1, min(MOST, len(findings.steps))).round().astype(int))
    frames = [_frame(findings, int(i)) for i in chosen] or [_empty(findings)]
    durations = [milliseconds] * (len(frames) - 1) + [2500]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False)
    return buffer.getvalue()


def _frame(findings: Findings, i: int) -> Image.Image:
    step = findings.steps[i]
    band = Image.new("RGB", (SIDE, BAND), PAPER)
    draw = ImageDraw.Draw(band)
    draw.text((18, 36), number(float(findings.values[step])), FOUND, _font(27, bold=True), anchor="lm")
    draw.text(
        (18, 72), f"{'evaluation' if findings.repeats == 1 else 'trial'} {step + 1:,}", MUTED, _font(16), anchor="lm"
    )
    _curve(draw, findings, step, (206, 20, SIDE - 18, BAND - 20))
    stimulus = Image.fromarray(picture(findings.stimuli[i]))
    return _compose(stimulus.quantize(256 - len(_BAND_COLOURS), dither=Image.Dither.NONE), band)


def _compose(stimulus: Image.Image, band: Image.Image) -> Image.Image:
    """The enlarged stimulus over its caption; the caption's colours are the same in every frame."""
    scale = SIDE / max(stimulus.size)
    enlarged = stimulus.resize(
        (round(stimulus.width * scale), round(stimulus.height * scale)), Image.Resampling.NEAREST
    )
    first = 256 - len(_BAND_COLOURS)
    indices = np.full((SIDE + BAND, SIDE), first, np.uint8)  # the first of the band's colours is the paper
    top, left = (SIDE - enlarged.height) // 2, (SIDE - enlarged.width) // 2
    indices[top : top + enlarged.height, left : left + enlarged.width] = np.asarray(enlarged)
    indices[SIDE:] = first + np.asarray(band.quantize(palette=_band_palette(), dither=Image.Dither.NONE))
    colours = np.zeros((256, 3), np.uint8)
    own = np.asarray(stimulus.getpalette() or [], np.uint8).reshape(-1, 3)[:first]
    colours[: len(own)] = own
    colours[first:] = _BAND_COLOURS
    frame = Image.fromarray(indices)
    frame.putpalette(colours.tobytes())
    return frame


def _curve(draw: ImageDraw.ImageDraw, findings: Findings, step: int, box: tuple[int, int, int, int]) -> None:
    """Best so far up to ``step`` over all evaluations, with the natural maximum as a line."""
    left, top, right, bottom = box
    values = np.array([findings.values[s] for s in findings.steps])
    maximum = findings.nature.maximum
    lowest, highest = values.min(), values.max()
    if maximum is not None:
        lowest, highest = min(lowest, maximum), max(highest, maximum)
    span = (highest - lowest) or 1.0

    def height(value: float) -> float:
        return bottom - (bottom - top) * float(value - lowest) / span

    def across(number: float) -> float:
        return left + (right - left) * number / max(len(findings.values) - 1, 1)

    if maximum is not None:
        y = height(maximum)
        for start in range(left, right, 8):
            draw.line((start, y, start + 4, y), fill=NATURAL)
    reached = [s for s in findings.steps if s <= step]
    points: list[tuple[float, float]] = []
    for s in reached:
        if points:
            points.append((across(s), points[-1][1]))
        points.append((across(s), height(findings.values[s])))
    if step == findings.steps[-1]:
        points.append((right, points[-1][1]))
    if len(points) > 1:
        draw.line(points, fill=FOUND, width=2)
    x, y = points[-1]
    draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=FOUND)


def _empty(findings: Findings) -> Image.Image:
    band = Image.new("RGB", (SIDE, BAND), PAPER)
    draw = ImageDraw.Draw(band)
    draw.text((SIDE / 2, 36), "no response was found", INK, _font(22, bold=True), anchor="mm")
    draw.text((SIDE / 2, 70), findings.effort, MUTED, _font(16), anchor="mm")
    return _compose(Image.new("RGB", (1, 1), PAPER).quantize(2), band)


@cache
def _band_palette() -> Image.Image:
    palette = Image.new("P", (1, 1))
    palette.putpalette(_BAND_COLOURS.astype(np.uint8).tobytes())
    return palette


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib."""
    from matplotlib import get_data_path

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / name), size)
