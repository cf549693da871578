"""Contrast, features that do not depend on place, and the distance to natural ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mango.analysis.stimulus_statistics import NEAREST, feature_distance, latent_features, rms_contrast
from mango.errors import InputError
from mango.generators import make_generator

images = arrays(np.float32, st.tuples(st.integers(1, 3), st.sampled_from([1, 3]), st.just(4), st.just(5)),
                elements=st.floats(0, 1, width=32))  # fmt: skip


@given(images)
def test_contrast_is_bounded_and_blind_to_place_and_sign(some: np.ndarray) -> None:
    contrast = rms_contrast(some)
    assert contrast.shape == (len(some),)
    assert (contrast >= 0).all()
    assert (contrast <= 0.5 + 1e-9).all()
    np.testing.assert_allclose(rms_contrast(1 - some[:, :, ::-1, ::-1]), contrast, atol=1e-6)
    np.testing.assert_allclose(rms_contrast(some / 2), contrast / 2, atol=1e-6)


def test_contrast_of_known_images() -> None:
    uniform, halves = np.full((1, 3, 4, 4), 0.3), np.zeros((1, 3, 4, 4))
    halves[:, :, :2] = 1
    assert rms_contrast(uniform) == pytest.approx(0)
    assert rms_contrast(halves) == pytest.approx(0.5)
    green = halves.copy()
    green[:, [0, 2]] = 0
    assert rms_contrast(green) == pytest.approx(0.5 * 0.7152)
    assert rms_contrast(halves[:, :1]) == pytest.approx(0.5)
    assert rms_contrast(np.repeat(halves[:, :1] * 0.4, 3, 1)) == pytest.approx(rms_contrast(halves[:, :1] * 0.4))
    with pytest.raises(InputError, match=r"got \(3, 4, 4\)"):
        rms_contrast(halves[0])


@given(arrays(np.float64, (2, 3, 4, 2), elements=st.floats(-9, 9)))
def test_features_do_not_depend_on_where_things_lie(maps: np.ndarray) -> None:
    features = latent_features(maps)
    assert features.shape == (2, 6)
    np.testing.assert_allclose(latent_features(maps[:, ::-1, ::-1]), features, atol=1e-9)
    np.testing.assert_allclose(latent_features(maps.transpose(0, 2, 1, 3)), features, atol=1e-9)
    np.testing.assert_allclose(features[:, :2], maps.mean((1, 2)), atol=1e-9)


def test_features_tell_order_from_chance() -> None:
    halves = np.zeros((1, 4, 4, 1))
    halves[:, :2] = 1
    board = np.indices((4, 4)).sum(0)[None, :, :, None] % 2
    mean, spread, differences = np.concatenate([latent_features(halves), latent_features(board)]).T
    assert mean.tolist() == [0.5, 0.5]
    assert spread.tolist() == [0.5, 0.5]
    assert differences == pytest.approx([np.sqrt(4 / 24), 1])
    with pytest.raises(InputError, match="2 x 2 or larger"):
        latent_features(np.zeros((3, 1, 4, 2)))


def test_the_distance_is_what_its_words_say() -> None:
    rng = np.random.default_rng(0)
    natural, ours = rng.normal(size=(60, 4)), rng.normal(size=(7, 4)) * 3

    def mean_of_nearest(one: np.ndarray, others: np.ndarray) -> float:
        return float(np.sort(np.linalg.norm(others - one, axis=1))[:NEAREST].mean())

    usual = np.median([mean_of_nearest(one, np.delete(natural, i, 0)) for i, one in enumerate(natural)])
    expected = [mean_of_nearest(one, natural) / usual for one in ours]
    np.testing.assert_allclose(feature_distance(ours, natural), expected, rtol=1e-9)
    np.testing.assert_allclose(feature_distance(ours * 1e3, natural * 1e3), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("ours", "natural", "says"),
    [
        (np.ones((2, 3)), np.ones((10, 3)), "more than 10 natural"),
        (np.ones((2, 3)), np.ones((20, 4)), r"got \(2, 3\) and \(20, 4\)"),
        (np.ones(3), np.ones((20, 3)), r"got \(3,\)"),
        (np.ones((2, 3)), np.ones((20, 3)), "the same features"),
    ],
)
def test_distances_that_cannot_be_measured(ours: Any, natural: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        feature_distance(ours, natural)


def test_plain_colours_are_far_from_nature_and_natural_codes_near() -> None:
    """The reason for features that do not depend on place: in the map itself plain colours are the nearest of all."""
    generator: Any = make_generator("vqvae-cifar10")
    rng = np.random.default_rng(0)
    natural, plain, chance = generator.natural(600, rng), rng.integers(0, 512, (50, 1)), generator.space.sample(50, rng)
    codes = [natural[:500], natural[500:], plain.repeat(64, 1), chance]
    maps = [generator.space.embedding[c].reshape(-1, 8, 8, 64) for c in codes]
    near, far, random = (feature_distance(latent_features(m), latent_features(maps[0])) for m in maps[1:])
    assert 0.9 < np.median(near) < 1.1
    assert far.min() > np.quantile(near, 0.95)
    assert np.median(random) > np.quantile(near, 0.6)
    flat = feature_distance(maps[2].reshape(50, -1), maps[0].reshape(500, -1))
    assert np.median(flat) < 1


def test_a_natural_stimulus_is_measured_to_the_others() -> None:
    rng = np.random.default_rng(0)
    natural = rng.normal(size=(400, 4))
    itself, another = feature_distance(natural[:200], natural), feature_distance(rng.normal(size=(200, 4)), natural)
    assert np.median(itself) == pytest.approx(np.median(another), rel=0.05)
    np.testing.assert_allclose(feature_distance(natural + 1e-14, natural), feature_distance(natural, natural))
