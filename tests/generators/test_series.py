"""Series from codes: the equations, the ranges, the way back, and what natural series become."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango import zoo
from mango.errors import CodeError, InputError
from mango.generators import make_generator, natural_codes
from mango.generators.series import FOLLOW, RANGE, NaturalSeriesGenerator
from mango.testing import check_generator

NAMES = [
    "series:identity:20",
    "series:smoothed:20",
    "series:bandlimited:20:5",
    "series:identity:gunpoint",
    "series:smoothed:gunpoint",
    "series:bandlimited:trace:32",
]


@pytest.mark.parametrize("name", NAMES)
def test_conformance(name: str) -> None:
    check_generator(make_generator(name))


@pytest.mark.parametrize(
    "name",
    [
        "series",
        "series:identity",
        "series:identity:0",
        "series:identity:1",
        "series:identity:-3",
        "series:identity:2.5",
        "series:identity:20:5",
        "series:smoothed:walks",
        "series:bandlimited:20",
        "series:bandlimited:20:0",
        "series:bandlimited:20:20",
        "series:wavelets:20",
    ],
)
def test_other_names_say_what_is_right(name: str) -> None:
    with pytest.raises(InputError, match=r"series:bandlimited:N:K.*trace or gunpoint"):
        make_generator(name)


def test_identity_is_the_code() -> None:
    generator = make_generator("series:identity:20")
    codes = np.random.default_rng(0).uniform(-RANGE, RANGE, (3, 20))
    assert np.array_equal(generator.decode(codes), codes.astype(np.float32)[:, None])


@given(st.lists(st.floats(-RANGE, RANGE), min_size=12, max_size=12))
def test_smoothing_follows_its_equation(code: list[float]) -> None:
    generator = make_generator("series:smoothed:12")
    expected = [code[0]]
    for x in code[1:]:
        expected.append(FOLLOW * x + (1 - FOLLOW) * expected[-1])
    assert np.allclose(generator.decode(np.array([code]))[0, 0], expected, atol=1e-6)


def test_bandlimited_series_hold_no_fast_cosine() -> None:
    generator = make_generator("series:bandlimited:50:6")
    codes = np.random.default_rng(0).normal(size=(4, 6)) * 0.5  # small enough to be cut nowhere
    series = generator.decode(codes)[:, 0]
    points = (np.arange(50) + 0.5) / 50
    each = np.stack([np.cos(np.pi * k * points) for k in range(50)])
    shares = np.abs(series @ each.T)
    assert shares[:, 7:].max() < 1e-4
    assert shares[:, 0].max() < 1e-4  # no constant
    assert shares[:, 1:7].min(1).max() > 0.01


def test_bandlimited_series_of_random_codes_have_variance_1_or_nearly_so() -> None:
    generator = make_generator("series:bandlimited:200:30")
    series = generator.decode(generator.space.sample(500, np.random.default_rng(0)))[:, 0]
    assert 0.8 < np.square(series).mean() < 1.1


@pytest.mark.parametrize("name", NAMES)
def test_encoding_gives_back_what_codes_made(name: str) -> None:
    generator = make_generator(name)
    codes = 0.4 * generator.space.sample(20, np.random.default_rng(0))  # away from the range, where nothing is cut
    series = generator.decode(codes)
    assert np.allclose(generator.decode(generator.encode(series)), series, atol=1e-5)  # type: ignore[attr-defined]


def test_series_of_another_shape_are_refused() -> None:
    generator = make_generator("series:identity:20")
    with pytest.raises(InputError, match=r"expected series \(n, 1, 20\); got \(3, 20\)"):
        generator.encode(np.zeros((3, 20)))  # type: ignore[attr-defined]


def test_codes_out_of_range_are_refused() -> None:
    with pytest.raises(CodeError, match="expected -4 to 4"):
        make_generator("series:bandlimited:20:5").decode(np.full((1, 5), 4.1))


@pytest.mark.parametrize(("data", "count", "length"), [("trace", 100, 275), ("gunpoint", 50, 150)])
def test_a_data_set_gives_length_range_and_natural_codes(data: str, count: int, length: int) -> None:
    kept = zoo.nature(f"series-{data}")["natural_series"]
    assert kept.shape == (count, length)
    generator = make_generator(f"series:identity:{data}")
    assert isinstance(generator, NaturalSeriesGenerator)
    assert generator.natural_count == count
    codes = generator.natural(count, np.random.default_rng(0))
    assert np.array_equal(np.sort(codes.astype(np.float32), 0), np.sort(kept, 0))
    assert (generator.space.lower[0], generator.space.upper[0]) == (kept.min(), kept.max())
    with pytest.raises(InputError, match=f"holds {count} natural series"):
        generator.natural(count + 1, np.random.default_rng(0))
    assert len(natural_codes(generator, 1000, np.random.default_rng(0))) == count
    assert len(natural_codes(generator, 7, np.random.default_rng(0))) == 7


@pytest.mark.parametrize(("name", "most"), [("bandlimited:trace:32", 0.2), ("bandlimited:gunpoint:16", 0.06)])
def test_a_few_cosines_come_near_natural_series(name: str, most: float) -> None:
    generator = make_generator(f"series:{name}")
    kept = zoo.nature(f"series-{name.split(':')[1]}")["natural_series"][:, None]
    codes = generator.encode(kept)  # type: ignore[attr-defined]
    assert np.sqrt(np.square(generator.decode(codes) - kept).mean()) < most  # of a standard deviation of 1
    assert np.allclose(np.square(codes).mean(0), 1, atol=1e-6)  # each axis in units of its natural spread


def test_without_a_data_set_there_are_no_natural_codes() -> None:
    assert not hasattr(make_generator("series:identity:20"), "natural")
