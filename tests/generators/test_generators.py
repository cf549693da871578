"""The table of generators, and what each kind promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mango import zoo
from mango.errors import CodeError, InputError, UnknownName
from mango.generators import make_generator
from mango.generators.identity import make_identity
from mango.naturalness import naturalness, percentile
from mango.testing import check_generator


@pytest.mark.parametrize(
    "name",
    [
        "vqvae-cifar10",
        "sngan-cifar10",
        "sngan-cifar10:2",
        "dgn-cifar10",
        "pixels",
        "identity:box:4",
        "identity:grid:6:3",
    ],
)
def test_conformance(name: str) -> None:
    check_generator(make_generator(name))


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName, match="vqvae-cifar10"):
        make_generator("vqvae-cifar")


def test_a_users_factory(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "my_generator.py").write_text(
        "from mango.generators.pixels import Pixels\ndef make(): return Pixels()\ndef wrong(): return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert make_generator("my_generator:make").stimulus_shape == (3, 32, 32)
    with pytest.raises(InputError, match="decode"):
        make_generator("my_generator:wrong")
    with pytest.raises(UnknownName, match="make"):
        make_generator("my_generator:mak")


@pytest.mark.parametrize("detail", ["", "box", "box:0", "box:x", "grid:3", "ball:3"])
def test_identity_refuses_what_it_cannot_read(detail: str) -> None:
    with pytest.raises(InputError, match="identity:box:DIM"):
        make_identity(detail)


def test_vqvae_stimuli_are_what_a_png_holds() -> None:
    generator = make_generator("vqvae-cifar10")
    images = generator.decode(generator.space.sample(20, np.random.default_rng(0)))
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert (np.rint(images * 255).astype(np.uint8).astype(np.float32) / np.float32(255) == images).all()


def test_vqvae_natural_codes_decode_and_encode_near_themselves() -> None:
    generator = make_generator("vqvae-cifar10")
    natural = generator.natural(50, np.random.default_rng(1))  # type: ignore[attr-defined]
    assert (natural == generator.natural(50, np.random.default_rng(1))).all()  # type: ignore[attr-defined]
    images = generator.decode(natural)
    again = generator.decode(generator.encode(images))  # type: ignore[attr-defined]
    assert np.square(images - again).mean() < 0.005
    with pytest.raises(InputError, match="5000"):
        generator.natural(5001, np.random.default_rng(1))  # type: ignore[attr-defined]


def test_vqvae_prior_prefers_nature() -> None:
    generator: Any = make_generator("vqvae-cifar10")
    rng = np.random.default_rng(2)
    natural, random = generator.natural(200, rng), generator.space.sample(200, rng)
    assert generator.log_prior(natural).min() > generator.log_prior(random).max()


def test_vqvae_prior_adds_to_one_over_the_last_label() -> None:
    """A chain rule factor is a distribution: over the last label, p(all 64) adds to p(the first 63)."""
    generator: Any = make_generator("vqvae-cifar10")
    code = generator.natural(1, np.random.default_rng(2))
    codes = np.repeat(code, 512, axis=0)
    codes[:, -1] = np.arange(512)
    network: Any = zoo.load("vqvae-cifar10-prior")
    first_63 = float(network(torch.from_numpy(code))[0, :-1].double().sum())
    assert np.logaddexp.reduce(generator.log_prior(codes)) == pytest.approx(first_63, abs=1e-4)


def test_a_code_has_the_same_log_prior_in_any_company() -> None:
    """To the last bit, since a replay compares it."""
    generator: Any = make_generator("vqvae-cifar10")
    rng = np.random.default_rng(4)
    codes = np.concatenate([generator.natural(40, rng), generator.space.sample(11, rng)])
    together = generator.log_prior(codes)
    alone = np.concatenate([generator.log_prior(code[None]) for code in codes])
    assert np.array_equal(alone, together)
    order = rng.permutation(len(codes))
    assert np.array_equal(generator.log_prior(codes[order]), together[order])
    assert np.array_equal(np.concatenate([generator.log_prior(part) for part in np.split(codes, [3, 20])]), together)
    assert generator.log_prior(codes[:0]).shape == (0,)


def place(generator: Any, codes: Any) -> Any:
    """Percentiles of codes among test codes."""
    return percentile(generator.log_prior(codes), generator.log_prior_quantiles)


def test_vqvae_codes_have_their_place_among_test_codes() -> None:
    generator: Any = make_generator("vqvae-cifar10")
    rng = np.random.default_rng(3)
    natural = place(generator, generator.natural(1000, rng))
    assert np.quantile(natural, [0.1, 0.25, 0.5, 0.75, 0.9]) == pytest.approx([10, 25, 50, 75, 90], abs=8)
    assert place(generator, generator.space.sample(50, rng)).max() < 0.1
    shuffled = rng.permuted(generator.natural(200, rng), axis=1)  # each label where it is not wont to be
    assert np.median(place(generator, shuffled)) < 2


def test_plain_colours_are_not_natural() -> None:
    generator: Any = make_generator("vqvae-cifar10")
    places = place(generator, np.repeat(np.arange(512)[:, None], 64, 1))
    assert places.min() > 5
    assert (naturalness(places) < 10).mean() > 0.85, "likelier than nature"


def test_vqvae_samples_of_the_prior_are_codes_like_natural_ones() -> None:
    generator: Any = make_generator("vqvae-cifar10")
    few, again, others = (generator.sample_prior(5, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(few, again)
    assert not np.array_equal(few, others)
    drawn = generator.sample_prior(60, np.random.default_rng(5))
    assert 25 < np.median(place(generator, drawn)) < 75
    assert len(np.unique(drawn)) > 256


def test_pixels_refuse_values_outside_the_range() -> None:
    generator = make_generator("pixels")
    with pytest.raises(CodeError, match="expected 0 to 1"):
        generator.decode(np.full((1, 3072), 1.5))
