"""The table of generators, and what each kind promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.errors import CodeError, InputError, UnknownName
from mango.generators import make_generator
from mango.generators.identity import make_identity
from mango.naturalness import percentile
from mango.testing import check_generator


@pytest.mark.parametrize("name", ["vqvae-cifar10", "pixels", "identity:box:4", "identity:grid:6:3"])
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


def test_vqvae_prior_is_a_distribution_and_prefers_nature() -> None:
    generator = make_generator("vqvae-cifar10")
    rng = np.random.default_rng(2)
    natural, random = generator.natural(200, rng), generator.space.sample(200, rng)  # type: ignore[attr-defined]
    prior = generator.log_prior  # type: ignore[attr-defined]
    assert prior(natural).min() > prior(random).max()


def test_vqvae_prior_adds_to_one_over_the_last_label() -> None:
    """A chain rule factor is a distribution: over the last label, p(all 64) adds to p(the first 63)."""
    generator = make_generator("vqvae-cifar10")
    code = generator.natural(1, np.random.default_rng(2))  # type: ignore[attr-defined]
    codes = np.repeat(code, 512, axis=0)
    codes[:, -1] = np.arange(512)
    at_position, given_left, given_up = generator._statistics  # type: ignore[attr-defined]
    label, left, up = code[0, 63], code[0, 62], code[0, 55]
    factor = 0.2 * at_position[63, label] + 0.4 * given_left[left, label] + 0.4 * given_up[up, label]
    log_prior = generator.log_prior  # type: ignore[attr-defined]
    first_63 = log_prior(code)[0] - np.log(factor)
    assert np.logaddexp.reduce(log_prior(codes)) == pytest.approx(first_63, abs=1e-9)


def test_vqvae_codes_have_their_place_among_test_codes() -> None:
    generator: Any = make_generator("vqvae-cifar10")
    rng = np.random.default_rng(3)

    def place(codes: Any) -> Any:
        return percentile(generator.log_prior(codes), generator.log_prior_quantiles)

    assert 40 < np.median(place(generator.natural(1000, rng))) < 90  # above 50: its statistics are of these very codes
    assert place(generator.space.sample(20, rng)).max() < 5
    assert (place(np.repeat(np.arange(512)[:, None], 64, 1)) > 95).mean() > 0.3, (
        "plain colours are likelier than nature"
    )


def test_pixels_refuse_values_outside_the_range() -> None:
    generator = make_generator("pixels")
    with pytest.raises(CodeError, match="expected 0 to 1"):
        generator.decode(np.full((1, 3072), 1.5))
