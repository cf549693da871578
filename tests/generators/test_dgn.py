"""The generator of a classifier's features: its bounds, the way back, and features that no image moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mango import zoo
from mango.errors import CodeError, InputError
from mango.generators import make_generator, natural_codes
from mango.generators.dgn import DGNGenerator
from mango.networks.dgn import DGN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a small model; its first feature is 0.5 in every training image, the others are 1 and deviate by 0.5."""
    options = {"width": 2, "generator": [6, 5, 4, 3]}
    torch.manual_seed(0)
    network = DGN(**options)  # type: ignore[arg-type]
    network.mean.fill_(1.0)
    network.deviation.fill_(0.5)
    network.mean[0], network.deviation[0] = 0.5, 0.0
    natural = np.linspace(0, 3, 5 * 32, dtype=np.float16).reshape(5, 32)
    card = zoo.Card("dgn-cifar10", "small", options, "", "", 0, "cpu", {}, "", "MIT", {}, "", {})
    zoo.publish(card, network, {"natural_features": natural}, tmp_path)
    return tmp_path


def test_a_feature_that_no_image_moves_is_no_axis(folder: Path) -> None:
    generator = DGNGenerator(folder)
    assert generator.space.dim == 31
    assert np.array_equal(generator.space.lower, np.zeros(31))
    assert np.array_equal(generator.space.upper, np.full(31, 2.5))
    network = zoo.load("dgn-cifar10", folder)
    codes = generator.space.sample(3, np.random.default_rng(0))
    features = torch.from_numpy(np.concatenate([np.full((3, 1), 0.5), codes], 1)).float()
    assert np.allclose(generator.decode(codes), network(features).numpy(), atol=0.6 / 255)


def test_natural_features_are_cut_to_the_space(folder: Path) -> None:
    generator = DGNGenerator(folder)
    codes = generator.natural(5, np.random.default_rng(0))
    kept = np.linspace(0, 3, 5 * 32, dtype=np.float16).reshape(5, 32)[:, 1:]
    assert np.array_equal(np.sort(codes, 0), np.minimum(kept, 2.5))
    assert len(natural_codes(generator, 1000, np.random.default_rng(0))) == 5
    with pytest.raises(InputError, match="holds 5 natural codes; 6 were asked for"):
        generator.natural(6, np.random.default_rng(0))


def test_encoded_images_are_features_within_the_space() -> None:
    generator: Any = make_generator("dgn-cifar10")
    network: Any = zoo.load("dgn-cifar10")
    images = generator.decode(generator.natural(30, np.random.default_rng(0)))
    features = network.encode(torch.from_numpy(images)).double().numpy()
    codes = generator.encode(images)
    assert np.allclose(codes, np.minimum(features, generator.space.upper), atol=1e-5)
    assert 0 < (features > generator.space.upper).mean() < 0.02


def test_features_come_back_nearer_than_those_of_other_images() -> None:
    generator: Any = make_generator("dgn-cifar10")
    codes = generator.natural(50, np.random.default_rng(0))
    back = generator.encode(generator.decode(codes))
    spread = codes.std(0)
    near, far = (np.linalg.norm((back - other) / spread, axis=1) for other in (codes, np.roll(codes, 1, 0)))
    assert (near < far).mean() > 0.9
    assert np.median(near / far) < 0.8


def test_a_stimulus_is_the_same_alone_and_among_others() -> None:
    generator: Any = make_generator("dgn-cifar10")
    codes = generator.natural(70, np.random.default_rng(1))
    together = generator.decode(codes)
    alone = np.concatenate([generator.decode(code[None]) for code in codes[-10:]])
    assert np.array_equal(together[-10:], alone)


def test_codes_beyond_three_deviations_are_refused() -> None:
    generator = make_generator("dgn-cifar10")
    with pytest.raises(CodeError, match="expected 0 to"):
        generator.decode(generator.space.upper[None] * 1.01)
    assert generator.decode(np.empty((0, generator.space.dim))).shape == (0, 3, 32, 32)
