from __future__ import annotations

import numpy as np
import pytest

from tests.targets.spiking.kernels.conftest import COMPILED

pytestmark = pytest.mark.skipif(COMPILED is None, reason="the C extension was not built")


def good_neurons() -> dict[str, object]:
    return {
        "currents": np.zeros((1, 4, 20), np.float32),
        "charge": 0,
        "reset": 1,
        "parameters": np.ones((5, 20), np.float32),
        "words": np.zeros((3, 4, 2), np.uint16),
        "potentials": np.zeros((3, 4, 20), np.float32),
    }


def good_convolution() -> dict[str, object]:
    return {
        "words": np.zeros((2, 6, 6, 2), np.uint16),
        "weights": np.zeros((1, 2, 3, 3, 16, 32), np.float32),
        "bias": np.zeros(32, np.float32),
        "bias_first": True,
        "stride": (1, 1),
        "padding": (0, 0),
        "out": np.zeros((2, 4, 4, 24), np.float32),
    }


def good_layer() -> dict[str, object]:
    convolution = good_convolution()
    del convolution["words"], convolution["out"]
    return {
        "words": np.zeros((5, 2, 6, 6, 2), np.uint16),
        **convolution,
        "pool": (2, 2, 2, 2),
        "charge": 0,
        "reset": 1,
        "parameters": np.ones((5, 24), np.float32),
        "bounds": np.zeros((8, 24), np.float32),
        "out": np.zeros((5, 2, 2, 2, 2), np.uint16),
        "folded": np.zeros(2, np.uint8),
    }


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("currents", np.zeros((2, 4, 20), np.float32), "one step or as many"),
        ("currents", np.zeros((1, 4, 20)), "expected currents as 'f' of 3 dimensions; got 'd' of 3"),
        ("currents", np.zeros((4, 20), np.float32), "got 'f' of 2"),
        ("currents", np.zeros((1, 5, 20), np.float32), "words: expected"),
        ("currents", np.zeros((1, 4, 40), np.float32)[..., ::2], "contiguous"),
        ("charge", 5, "no such charge"),
        ("charge", -1, "no such charge"),
        ("reset", 7, "no such charge or reset"),
        ("parameters", np.ones((4, 20), np.float32), "parameters: expected"),
        ("parameters", np.ones((5, 1), np.float32), "parameters: expected"),
        ("words", np.zeros((3, 4, 1), np.uint16), "words: expected"),
        ("words", np.zeros((3, 4, 2), np.int16), "got 'h'"),
        ("potentials", np.zeros((2, 4, 20), np.float32), "potentials: expected"),
    ],
)
def test_neurons_that_do_not_fit(name, bad, message):
    COMPILED.integrate(*good_neurons().values())
    with pytest.raises((ValueError, BufferError), match=message):
        COMPILED.integrate(*(good_neurons() | {name: bad}).values())


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("words", np.zeros((2, 6, 6, 2), np.float32), "expected words as 'H'"),
        ("words", np.zeros((2, 6, 6, 1), np.uint16), "input channels"),
        ("words", np.zeros((2, 6, 6, 3), np.uint16), "input channels"),
        ("words", np.zeros((2, 6, 0, 2), np.uint16), "expected some"),
        ("words", np.zeros((1, 6, 6, 2), np.uint16), "out: expected"),
        ("weights", np.zeros((1, 2, 3, 3, 16, 24), np.float32), "16, 32, 48 or 64"),
        ("weights", np.zeros((1, 2, 3, 3, 16, 80), np.float32), "16, 32, 48 or 64"),
        ("weights", np.zeros((1, 2, 7, 3, 16, 32), np.float32), "does not fit"),
        ("weights", np.zeros((1, 2, 3, 3, 0, 32), np.float32), "expected some"),
        ("bias", np.zeros(24, np.float32), "bias: expected"),
        ("stride", (0, 1), "stride > 0"),
        ("stride", (2, 1), "out: expected"),
        ("padding", (-1, 0), "padding >= 0"),
        ("padding", (2**31 - 1, 0), "out: expected|too large"),
        ("out", np.zeros((2, 4, 4, 33), np.float32), "the channels of the weights"),
        ("out", np.zeros((2, 4, 5, 24), np.float32), "out: expected"),
    ],
)
def test_convolutions_that_do_not_fit(name, bad, message):
    COMPILED.convolve(*good_convolution().values())
    with pytest.raises(ValueError, match=message):
        COMPILED.convolve(*(good_convolution() | {name: bad}).values())


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("words", np.zeros((5, 2, 6, 6, 2), np.float32), "expected words as 'H'"),
        ("words", np.zeros((0, 2, 6, 6, 2), np.uint16), "some steps"),
        ("words", np.zeros((5, 2, 6, 6, 3), np.uint16), "input channels"),
        ("weights", np.zeros((1, 2, 3, 3, 16, 80), np.float32), "16, 32, 48 or 64"),
        ("bias", np.zeros(31, np.float32), "bias: expected"),
        ("stride", (1, 0), "stride > 0"),
        ("pool", (0, 2, 2, 2), "pooling of at least 1"),
        ("pool", (2, 2, 0, 2), "pooling of at least 1"),
        ("pool", (5, 2, 2, 2), "pooled window does not fit"),
        ("charge", 5, "no such charge"),
        ("reset", 6, "no such charge or reset"),
        ("parameters", np.ones((4, 24), np.float32), "parameters: expected"),
        ("parameters", np.ones((5, 33), np.float32), "bounds: expected"),
        ("bounds", np.zeros((8, 23), np.float32), "bounds: expected"),
        ("out", np.zeros((5, 2, 2, 2, 1), np.uint16), "out: expected"),
        ("out", np.zeros((4, 2, 2, 2, 2), np.uint16), "out: expected"),
        ("folded", np.zeros(1, np.uint8), "folded: expected"),
        ("folded", np.zeros(2, bool), "expected folded as 'B'"),
    ],
)
def test_layers_that_do_not_fit(name, bad, message):
    assert COMPILED.fold(*good_layer().values()) == 0
    with pytest.raises(ValueError, match=message):
        COMPILED.fold(*(good_layer() | {name: bad}).values())


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("words", np.zeros((5, 2, 6, 6, 3), np.uint16), "input channels"),
        ("pool", (5, 2, 2, 2), "pooled window does not fit"),
        ("affine", np.ones((1, 24), np.float32), "affine: expected"),
        ("affine", np.ones((2, 24)), "expected affine as 'f'"),
        ("reset", 6, "no such charge or reset"),
        ("bounds", np.zeros((8, 23), np.float32), "bounds: expected"),
        ("currents", np.zeros((5, 2, 2, 3, 24), np.float32), "currents: expected"),
        ("currents", np.zeros((5, 2, 2, 2, 32), np.float32), "currents: expected"),
        ("out", np.zeros((5, 2, 2, 2, 1), np.uint16), "out: expected"),
    ],
)
def test_averages_that_do_not_fit(name, bad, message):
    layer = good_layer()
    given = {name: layer[name] for name in ("words", "weights", "bias", "bias_first", "stride", "padding", "pool")}
    given |= {"affine": np.ones((2, 24), np.float32), "fused": True}
    given |= {name: layer[name] for name in ("charge", "reset", "parameters", "bounds")}
    given |= {"currents": np.zeros((5, 2, 2, 2, 24), np.float32), "out": layer["out"]}
    assert COMPILED.settle(*given.values()) == layer["out"][0].size * 12  # all potentials stay at the threshold
    with pytest.raises(ValueError, match=message):
        COMPILED.settle(*(given | {name: bad}).values())


@pytest.mark.parametrize(
    ("words", "channels", "out"),
    [
        (np.zeros((2, 4, 2), np.uint16), 33, np.zeros((2, 5), np.uint16)),
        (np.zeros((2, 4, 2), np.uint16), 0, np.zeros((2, 5), np.uint16)),
        (np.zeros((2, 4, 2), np.uint16), 20, np.zeros((2, 4), np.uint16)),
        (np.zeros((2, 4, 2), np.uint16), 20, np.zeros((1, 5), np.uint16)),
        (np.zeros((2, 4, 2), np.float32), 20, np.zeros((2, 5), np.uint16)),
    ],
)
def test_words_that_cannot_be_flattened(words, channels, out):
    COMPILED.flatten(np.zeros((2, 4, 2), np.uint16), 20, np.zeros((2, 5), np.uint16))
    with pytest.raises(ValueError, match="expected"):
        COMPILED.flatten(words, channels, out)


def test_what_may_not_be_written_is_not_written():
    arguments = good_convolution()
    arguments["out"].flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        COMPILED.convolve(*arguments.values())


def test_no_such_instructions():
    with pytest.raises(ValueError, match="this processor has no SSE9"):
        COMPILED.use("SSE9")


def test_no_images_give_no_outputs():
    arguments = good_convolution() | {
        "words": np.zeros((0, 6, 6, 2), np.uint16),
        "out": np.zeros((0, 4, 4, 24), np.float32),
    }
    COMPILED.convolve(*arguments.values())
