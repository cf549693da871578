"""The search distribution of CMA-ES, a Gaussian, and its update.

Numbers in brackets are the equations of Hansen (2016), "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772. The
diagonal form, whose every step costs O(dim), is sep-CMA-ES (Ros and Hansen 2008, "A simple modification in CMA-ES
achieving linear time and space complexity"): the covariance keeps its diagonal and learns (dim + 2) / 3 times faster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mango.optimizers.base import Floats


@dataclass(frozen=True)
class Rates:
    """Weights and learning rates of one generation; all follow from the number of axes and the raw weights.

    Attributes:
        weights: ``(n,)`` of the answers as they stand; positive ones sum to one.
        mu_eff: variance-effective number of parents.
        c_sigma, d_sigma: of the step size. c_c, c_1, c_mu: of the covariance.
    """

    weights: Floats
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float

    @classmethod
    def of(cls, raw: Floats, dim: int, *, diagonal: bool) -> Rates:
        """From raw weights ``(n,)`` as `raw_weights` gives them, ties averaged."""
        gain, loss = np.maximum(raw, 0), np.maximum(-raw, 0)
        mu_eff = gain.sum() ** 2 / np.square(gain).sum()  # (8)
        c_sigma = (mu_eff + 2) / (dim + mu_eff + 5)  # (55)
        d_sigma = 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (dim + 1)) - 1) + c_sigma  # (55)
        c_c = (4 + mu_eff / dim) / (dim + 4 + 2 * mu_eff / dim)  # (56)
        c_1 = 2 / ((dim + 1.3) ** 2 + mu_eff)  # (57)
        c_mu = min(1 - c_1, 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((dim + 2) ** 2 + mu_eff))  # (58)
        weights = gain / gain.sum()  # (53)
        if diagonal:  # Ros and Hansen (2008), section 3
            faster = (dim + 2) / 3
            c_1 = min(1.0, faster * c_1)
            c_mu = min(1 - c_1, faster * c_mu)
        elif loss.any():
            mu_eff_loss = loss.sum() ** 2 / np.square(loss).sum()
            most = min(
                1 + c_1 / c_mu,  # (50)
                1 + 2 * mu_eff_loss / (mu_eff + 2),  # (51)
                (1 - c_1 - c_mu) / (dim * c_mu),  # (52)
            )
            weights = weights - most * loss / loss.sum()  # (53)
        return cls(weights, mu_eff, c_sigma, d_sigma, c_c, c_1, c_mu)


def raw_weights(n: int) -> Floats:
    """``(n,)`` weights by rank, best first (49); the worse half is negative."""
    weights: Floats = math.log((n + 1) / 2) - np.log(np.arange(1, n + 1))
    return weights


class Gaussian:
    """N(mean, sigma^2 C), full or diagonal.

    Args:
        mean: ``(dim,)``.
        sigma: step size.
        diagonal: keep only the diagonal of C.
    """

    def __init__(self, mean: Floats, sigma: float, *, diagonal: bool) -> None:
        dim = len(mean)
        self.diagonal = diagonal
        self.mean = mean.copy()
        self.sigma = float(sigma)
        self.path_sigma = np.zeros(dim)
        self.path_c = np.zeros(dim)
        self.updates = 0
        self.covariance = np.ones(dim) if diagonal else np.eye(dim)  # C: its diagonal, or the matrix
        self.axes = np.ones((0, 0)) if diagonal else np.eye(dim)  # B: eigenvectors in columns
        self.lengths = np.ones(dim)  # D: square roots of the eigenvalues
        self.stale = 0.0  # what C has learnt since B and D were taken from it

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.mean)

    @property
    def longest(self) -> float:
        """Standard deviation along the longest axis."""
        return self.sigma * float(self.lengths.max())

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """``(n, dim)`` samples (38)-(40)."""
        steps: Floats = rng.standard_normal((n, self.dim)) * self.lengths
        return self.mean + self.sigma * (steps if self.diagonal else steps @ self.axes.T)

    def whiten(self, steps: Floats) -> Floats:
        """C^(-1/2) applied to ``(n, dim)``."""
        if self.diagonal:
            return steps / self.lengths
        whitened: Floats = ((steps @ self.axes) / self.lengths) @ self.axes.T
        return whitened

    def update(self, steps: Floats, rates: Rates) -> None:
        """Learns from steps ``(n, dim)``, each ``(x - mean) / sigma`` of the distribution it was drawn from."""
        dim, weights = self.dim, rates.weights
        positive = np.maximum(weights, 0)
        step = positive @ steps  # (41)
        self.mean = self.mean + self.sigma * step  # (42), c_m = 1
        self.updates += 1

        c_sigma = rates.c_sigma
        self.path_sigma = (1 - c_sigma) * self.path_sigma + math.sqrt(c_sigma * (2 - c_sigma) * rates.mu_eff) * (
            self.whiten(step[None])[0]
        )  # (43)
        expected = math.sqrt(dim) * (1 - 1 / (4 * dim) + 1 / (21 * dim * dim))  # of a unit normal's length
        length = float(np.linalg.norm(self.path_sigma))
        growth = c_sigma / rates.d_sigma * (length / expected - 1)
        self.sigma *= math.exp(min(1.0, growth))  # (44); the limit is pycma's, against one wild generation

        settled = length / math.sqrt(1 - (1 - c_sigma) ** (2 * self.updates)) < (1.4 + 2 / (dim + 1)) * expected
        c_c, c_1, c_mu = rates.c_c, rates.c_1, rates.c_mu
        self.path_c = (1 - c_c) * self.path_c + settled * math.sqrt(c_c * (2 - c_c) * rates.mu_eff) * step  # (45)
        scaled = weights.copy()  # (46): a step that lost is cut to the expected length
        losing = weights < 0
        if losing.any():
            scaled[losing] *= dim / (np.square(self.whiten(steps[losing])).sum(1) + 1e-300)
        kept = 1 + c_1 * (0.0 if settled else c_c * (2 - c_c)) - c_1 - c_mu * weights.sum()  # (47)
        if self.diagonal:
            self.covariance = kept * self.covariance + c_1 * self.path_c**2 + c_mu * (scaled[:, None] * steps**2).sum(0)
            self.lengths = np.sqrt(self.covariance)
            return
        self.covariance = (
            kept * self.covariance + c_1 * np.outer(self.path_c, self.path_c) + c_mu * (steps.T * scaled) @ steps
        )
        self.stale += c_1 + c_mu
        if self.stale >= 0.1 / dim:  # the tutorial's B.2: no need to decompose at every update
            self._decompose()

    def state(self) -> dict[str, Any]:
        """Flat arrays and numbers."""
        state: dict[str, Any] = {"sigma": self.sigma, "updates": self.updates, "stale": self.stale}
        return state | {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def restore(cls, state: dict[str, Any], *, diagonal: bool) -> Gaussian:
        """The inverse of `state`."""
        gaussian = cls(np.asarray(state["mean"], np.float64), float(state["sigma"]), diagonal=diagonal)
        gaussian.updates, gaussian.stale = int(state["updates"]), float(state["stale"])
        for name in _ARRAYS:
            setattr(gaussian, name, np.asarray(state[name], np.float64))
        return gaussian

    def _decompose(self) -> None:
        self.covariance = (self.covariance + self.covariance.T) / 2
        values, self.axes = np.linalg.eigh(self.covariance)
        # the lost half can push an eigenvalue to rounding level; a floor keeps the axes usable
        self.lengths = np.sqrt(np.maximum(values, 1e-14 * values[-1]))
        self.stale = 0.0


_ARRAYS = ("mean", "path_sigma", "path_c", "covariance", "axes", "lengths")
