"""The update of CMA-ES against its equations, written out plainly, and against pycma's constants."""

from __future__ import annotations

import math

import cma.recombination_weights
import numpy as np
import pytest

from mango.optimizers.cma_gaussian import Gaussian, Rates, raw_weights

DIM, POPSIZE = 6, 9


@pytest.mark.parametrize(("dim", "popsize"), [(2, 6), (10, 10), (40, 15), (10, 100)])
def test_weights_are_those_of_pycma(dim: int, popsize: int) -> None:
    rates = Rates.of(raw_weights(popsize), dim, diagonal=False)
    theirs = cma.recombination_weights.RecombinationWeights(popsize)
    theirs.finalize_negative_weights(dim, rates.c_1, rates.c_mu, True)
    assert rates.mu_eff == pytest.approx(theirs.mueff)
    np.testing.assert_allclose(rates.weights, theirs, rtol=1e-9)
    assert rates.weights[rates.weights > 0].sum() == pytest.approx(1)


def test_rates_at_ten_axes() -> None:
    # Hansen (2016), table 1, for n = 10 and lambda = 10, computed by hand from mu_eff
    rates = Rates.of(raw_weights(10), 10, diagonal=False)
    m = 3.167299
    assert rates.mu_eff == pytest.approx(m, rel=1e-6)
    assert rates.c_sigma == pytest.approx((m + 2) / (15 + m), rel=1e-6)
    assert rates.d_sigma == pytest.approx(1 + rates.c_sigma)
    assert rates.c_c == pytest.approx((4 + m / 10) / (14 + m / 5), rel=1e-6)
    assert rates.c_1 == pytest.approx(2 / (11.3**2 + m), rel=1e-6)
    assert rates.c_mu == pytest.approx(2 * (m - 2 + 1 / m + 0.25) / (144 + m), rel=1e-6)


def test_diagonal_learns_faster_and_without_negative_weights() -> None:
    full, diagonal = (Rates.of(raw_weights(POPSIZE), DIM, diagonal=d) for d in (False, True))
    assert diagonal.c_1 == pytest.approx((DIM + 2) / 3 * full.c_1)
    assert (diagonal.weights >= 0).all()
    assert (full.weights < 0).any()


def test_one_update_of_the_full_form() -> None:
    rng = np.random.default_rng(1)
    gaussian = Gaussian(rng.normal(size=DIM), 0.7, diagonal=False)
    mean, steps = gaussian.mean.copy(), rng.standard_normal((POPSIZE, DIM))
    rates = Rates.of(raw_weights(POPSIZE), DIM, diagonal=False)
    gaussian.update(steps, rates)

    step = sum(w * y for w, y in zip(rates.weights, steps, strict=True) if w > 0)
    np.testing.assert_allclose(gaussian.mean, mean + 0.7 * step)
    path = math.sqrt(rates.c_sigma * (2 - rates.c_sigma) * rates.mu_eff) * step
    expected = math.sqrt(DIM) * (1 - 1 / (4 * DIM) + 1 / (21 * DIM**2))
    change = rates.c_sigma / rates.d_sigma * (np.linalg.norm(path) / expected - 1)
    assert gaussian.sigma == pytest.approx(0.7 * math.exp(change))
    path_c = math.sqrt(rates.c_c * (2 - rates.c_c) * rates.mu_eff) * step
    covariance = (1 - rates.c_1 - rates.c_mu * rates.weights.sum()) * np.eye(DIM) + rates.c_1 * np.outer(path_c, path_c)
    for weight, y in zip(rates.weights, steps, strict=True):
        scale = 1 if weight > 0 else DIM / (y @ y)
        covariance += rates.c_mu * weight * scale * np.outer(y, y)
    np.testing.assert_allclose(gaussian.covariance, covariance, atol=1e-12)


def test_draws_follow_the_covariance_and_whitening_undoes_it() -> None:
    rng = np.random.default_rng(2)
    for diagonal in (False, True):
        gaussian = Gaussian(np.zeros(3), 1.0, diagonal=diagonal)
        for _ in range(30):  # long first axis
            steps = rng.standard_normal((POPSIZE, 3)) * [3, 1, 1]
            gaussian.update(
                steps[np.argsort(-np.abs(steps[:, 0]))], Rates.of(raw_weights(POPSIZE), 3, diagonal=diagonal)
            )
        gaussian.mean, gaussian.sigma = np.zeros(3), 1.0
        draws = gaussian.draw(20_000, rng)
        covariance = np.diag(gaussian.covariance) if diagonal else gaussian.covariance
        np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.05 * covariance.max())
        assert covariance[0, 0] > 2 * covariance[1, 1]
        np.testing.assert_allclose(np.cov(gaussian.whiten(draws).T), np.eye(3), atol=0.05)


def test_stays_positive_definite_where_the_losers_all_lie_on_one_line() -> None:
    rng = np.random.default_rng(3)
    gaussian = Gaussian(np.zeros(DIM), 1.0, diagonal=False)
    rates = Rates.of(raw_weights(POPSIZE), DIM, diagonal=False)
    for _ in range(300):
        steps = 1e-3 * rng.standard_normal((POPSIZE, DIM))
        steps[rates.weights < 0] = 3 * np.eye(DIM)[0]
        gaussian.update(steps, rates)
        gaussian.sigma = 1.0
    assert np.isfinite(gaussian.draw(10, rng)).all()
    assert (np.linalg.eigvalsh(gaussian.covariance) > 0).all()


def test_state_returns_bit_for_bit() -> None:
    for diagonal in (False, True):
        rng = np.random.default_rng(4)
        gaussian = Gaussian(np.zeros(DIM), 1.0, diagonal=diagonal)
        rates = Rates.of(raw_weights(POPSIZE), DIM, diagonal=diagonal)
        for _ in range(5):
            gaussian.update(rng.standard_normal((POPSIZE, DIM)), rates)
        copy = Gaussian.restore({k: np.copy(v) for k, v in gaussian.state().items()}, diagonal=diagonal)
        steps = rng.standard_normal((POPSIZE, DIM))
        for one in (gaussian, copy):
            one.update(steps, rates)
        draws = [one.draw(3, np.random.default_rng(5)) for one in (gaussian, copy)]
        np.testing.assert_array_equal(*draws)
