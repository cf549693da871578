"""The SN-GAN's vectors: truncated where asked for, and judged by its discriminator."""

from __future__ import annotations

import numpy as np
import pytest

from mango import make_generator
from mango.errors import CodeError, InputError
from mango.generators.sngan import SNGANGenerator
from mango.naturalness import percentile


@pytest.fixture(scope="module")
def generator() -> SNGANGenerator:
    return SNGANGenerator()


def test_the_space_is_the_published_one(generator: SNGANGenerator) -> None:
    space = generator.space
    assert (space.dim, space.prior) == (128, "normal")
    assert set(space.lower) == {-4.0}
    assert set(space.upper) == {4.0}


def test_truncation_bounds_the_codes_and_changes_no_image(generator: SNGANGenerator) -> None:
    truncated = make_generator("sngan-cifar10:1.5")
    codes = truncated.space.sample(8, np.random.default_rng(0))
    assert np.abs(codes).max() <= 1.5
    assert np.array_equal(truncated.decode(codes), generator.decode(codes))
    with pytest.raises(CodeError, match=r"1\.5"):
        truncated.decode(codes + 1.5)


@pytest.mark.parametrize("detail", ["0", "-1", "nan", "inf", "wide"])
def test_other_bounds_are_refused(detail: str) -> None:
    with pytest.raises(InputError, match="number of standard deviations"):
        make_generator(f"sngan-cifar10:{detail}")


def test_what_it_draws_differs_from_code_to_code(generator: SNGANGenerator) -> None:
    images = generator.decode(generator.space.sample(16, np.random.default_rng(1)))
    apart = np.abs(images[:, None] - images[None]).mean((2, 3, 4))
    assert np.median(apart[~np.eye(16, dtype=bool)]) > 0.1


def test_the_discriminator_holds_noise_for_unnatural(generator: SNGANGenerator) -> None:
    """Percentiles among the scores of test images; scores belong to images, however many are told at once."""
    codes = generator.space.sample(70, np.random.default_rng(2))
    scores = generator.log_prior(codes)
    assert scores.shape == (70,)
    some = [69, 3, 40]
    assert np.array_equal(scores[some], generator.log_prior(codes[some]))
    assert np.array_equal(generator.decode(codes)[some], generator.decode(codes[some]))
    assert generator.log_prior(codes[:0]).shape == (0,)
    drawn = percentile(scores, generator.log_prior_quantiles)
    assert (drawn > 1).mean() > 0.2, "the generator learned to please it"
