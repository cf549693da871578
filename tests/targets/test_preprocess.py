"""Preprocessing, and stimuli that are refused rather than clipped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from mango.errors import OptionError, TargetError
from mango.targets import make_target
from mango.targets.preprocess import Preprocess
from mango.targets.spiking import SpikingNetwork, SpikingTarget
from mango.testing import check_target
from tests.targets.spiking.examples import SHAPE, convolutional, stimuli

GREY = (1, 28, 28)


def grey() -> SpikingNetwork:
    return SpikingNetwork(
        convolutional(colours=1), steps=8, stimulus_shape=GREY, preprocess=Preprocess((12, 12), (0.3,), (0.6,))
    )


def test_nothing_is_the_default() -> None:
    images = torch.from_numpy(stimuli(2))
    assert Preprocess()(images) is images


def test_mean_and_std_of_each_colour() -> None:
    images = torch.from_numpy(stimuli(2))
    answer = Preprocess(mean=(0.5, 0.25), std=(1, 0.5))(images)
    assert answer.dtype == torch.float32
    assert torch.equal(answer[:, 0], images[:, 0] - 0.5)
    assert torch.equal(answer[:, 1], 2 * images[:, 1] - 0.5)


def test_arrays_will_do() -> None:
    images = torch.from_numpy(stimuli(2))
    given = Preprocess(np.array([6, 4]), np.array([0.5, 0.5]), np.array([1.0, 0.5]))  # type: ignore[arg-type]
    assert given == Preprocess((6, 4), (0.5, 0.5), (1, 0.5))
    assert given(images).shape == (2, 2, 6, 4)
    assert given(images).dtype == torch.float32


@pytest.mark.parametrize("size", [(7, 5), (30, 41)])
def test_resizing_keeps_what_is_uniform_and_what_is_bright(size: tuple[int, int]) -> None:
    images = torch.cat([torch.full((1, 1, 20, 30), 0.25), torch.ones((1, 1, 20, 30)), torch.zeros((1, 1, 20, 30))])
    images[2, :, :, 15:] = 1
    answer = Preprocess(size)(images)
    assert answer.shape == (3, 1, *size)
    assert answer[0].numpy() == pytest.approx(0.25)
    assert answer.max() <= 1
    half = size[1] // 2
    assert answer[2, :, :, : half - 1].max() < 0.1
    assert answer[2, :, :, -half + 1 :].min() > 0.9


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mean": (0.5,)}, "go together"),
        ({"std": (0.5,)}, "go together"),
        ({"mean": (0.5,), "std": (0.5, 0.5)}, "go together"),
        ({"mean": (0.5,), "std": (0.0,)}, "std must be positive"),
        ({"mean": (0.5,), "std": (-1.0,)}, "std must be positive"),
        ({"mean": (np.nan,), "std": (1.0,)}, "mean must be finite"),
        ({"mean": (0.0,), "std": (np.inf,)}, "std must be finite"),
        ({"mean": 0.5, "std": 0.5}, r"mean must be several numbers, such as \(0.5,\); got 0.5"),
        ({"mean": (), "std": ()}, "mean must be"),
        ({"size": 32}, "size must be several numbers"),
        ({"size": (32,)}, r"size must be \(height, width\)"),
        ({"size": (32, 0)}, r"whole numbers >= 1; got \(32, 0\)"),
        ({"size": (32, 31.5)}, "whole numbers"),
    ],
)
def test_what_cannot_be_done_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Preprocess(**options)


@pytest.mark.parametrize(
    ("preprocess", "shape", "says"),
    [
        (Preprocess(mean=(0.5,) * 3, std=(1,) * 3), GREY, "each of the 1 colours; got 3"),
        (Preprocess(mean=(0.5,), std=(1,)), (2, 12, 12), "each of the 2 colours; got 1"),
        (Preprocess(size=(2, 2)), (784,), "takes images"),
    ],
)
def test_it_must_fit_the_stimuli(preprocess: Preprocess, shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        make_target(convolutional(), steps=2, stimulus_shape=shape, preprocess=preprocess)


def test_a_target_of_grey_images() -> None:
    network, images = grey(), stimuli(5, GREY)
    assert network.layers["2"] == (6, 5, 5)
    check_target(SpikingTarget(network, "2", 3), GREY, tolerance=0)
    small = functional.interpolate(torch.from_numpy(images), (12, 12), mode="bilinear", antialias=True)
    with torch.no_grad():
        current = convolutional(colours=1)[:2]((small - 0.3) / 0.6)
    assert network.read(images, "2", (), "current") == pytest.approx(current.double().numpy(), abs=1e-6)


@pytest.mark.parametrize("shape", [(3, 28, 28), (28, 28), (3, 1, 28, 27), (2, 784), (0, 1, 28, 28), ()])
def test_stimuli_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(TargetError, match=r"stimuli \(n, 1, 28, 28\) in \[0, 1\], at least one; got shape \("):
        SpikingTarget(grey()).respond(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.nan, "stimulus 1 holds NaN or infinity"),
        (np.inf, "stimulus 1 holds NaN or infinity"),
        (1.001, "values from 0 to 1.001: leave scaling to preprocess"),
        (-1.0, "values from -1 to 0"),
        (255.0, "values from 0 to 255"),
    ],
)
def test_values_that_no_image_has(value: float, says: str) -> None:
    images = np.zeros((2, *GREY), np.float32)
    images[1, 0, 5, 6] = value
    for refused in (SpikingTarget(grey()).respond, SpikingTarget(grey()).record):
        with pytest.raises(TargetError, match=says):
            refused(images)


def test_features_may_lie_anywhere() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(8, 16), convolutional()[2])
    features = SpikingNetwork(network, steps=3, stimulus_shape=(8,))
    far = np.full((2, 8), 30, np.float32)
    assert np.isfinite(features.read(far, "1", (), "current")).all()
    with pytest.raises(TargetError, match=r"stimuli \(n, 8\), at least one; got shape \(2, 9\)"):
        features.read(np.zeros((2, 9), np.float32), "1", (), "rate")


def test_other_kinds_of_numbers() -> None:
    network = SpikingNetwork(convolutional(), steps=3, stimulus_shape=SHAPE)
    images = stimuli(2)
    expected = network.read(images, "7", (), "current")
    assert np.array_equal(network.read(images.astype(np.float64), "7", (), "current"), expected)
    assert np.array_equal(network.read(np.asfortranarray(images), "7", (), "current"), expected)
