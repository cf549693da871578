"""TuRBO-1 (Eriksson et al. 2019, arXiv 1910.01739) of BoTorch's parts (Balandat et al. 2020), in a box.

BoTorch holds the Gaussian process, its fit and Thompson sampling; the trust region is written here after the paper,
section 2 and supplement D: first length .8 of the box, doubled after 3 batches that improved the best by a thousandth,
halved after ceil(max(4, dim) / batch) that did not, a fresh start below 2^-7; 2 dim points to begin with, Sobol; Matern
5/2 with a length for each axis; min(100 dim, 5,000) candidates, in which each axis is moved with probability
min(1, 20 / dim).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.benchmarks.stimuli.searchers import Best, Floats, Setting

FIRST, LEAST, MOST = 0.8, 0.5**7, 1.6  # lengths of the trust region, of the box
SUCCESSES = 3
CANDIDATES = 5_000
NOISELESS, NOISY = (
    (1e-8, 1e-3),
    (5e-4, 0.2),
)  # variance of the noise, of that of the values: BoTorch's bounds, Eriksson's


class Turbo:
    """One trust region with restarts."""

    def __init__(self, setting: Setting) -> None:
        space = setting.space
        self._low, self._span = space.lower, space.upper - space.lower
        self._dim, self._failures = space.dim, math.ceil(max(4, space.dim) / setting.batch)
        self._seed, self._noisy = setting.seed, setting.noisy
        self._torch = torch.Generator().manual_seed(setting.seed)
        self._best = Best()
        self._asked = np.zeros((0, space.dim))
        self._length, self._good, self._bad = FIRST, 0, 0
        self._restart()

    def ask(self, n: int) -> NDArray[Any]:
        """Exactly n points, but for the end of the first ones."""
        if len(self._values) < len(self._first):
            self._asked = self._first[len(self._values) :][:n]
        else:
            self._asked = self._sampled(n)
        return self._low + self._asked * self._span

    def tell(self, values: Floats) -> None:
        """Moves and resizes the trust region."""
        self._best.note(self._low + self._asked * self._span, values)
        searching = len(self._values) >= len(self._first)
        before = self._values.max(initial=-np.inf)
        self._points = np.concatenate([self._points, self._asked])
        self._values = np.concatenate([self._values, values])
        if not searching:
            return
        if values.max() > before + 1e-3 * abs(before):
            self._good, self._bad = self._good + 1, 0
        else:
            self._good, self._bad = 0, self._bad + 1
        if self._good == SUCCESSES:
            self._length, self._good = min(2 * self._length, MOST), 0
        elif self._bad == self._failures:
            self._length, self._bad = self._length / 2, 0
        if self._length < LEAST:
            self._restart()

    def recommend(self) -> NDArray[Any]:
        """The best told."""
        return self._best.point

    def _restart(self) -> None:
        sobol = torch.quasirandom.SobolEngine(self._dim, scramble=True, seed=self._seed)
        self._seed += 1_000_003
        self._first = sobol.draw(2 * self._dim, dtype=torch.float64).numpy()
        self._points, self._values = np.zeros((0, self._dim)), np.zeros(0)
        self._length, self._good, self._bad = FIRST, 0, 0

    def _sampled(self, n: int) -> NDArray[Any]:
        """Thompson samples ``(n, dim)`` in the trust region around the best, in units of the box."""
        from botorch.generation import MaxPosteriorSampling

        torch.manual_seed(int(torch.randint(2**31, (1,), generator=self._torch)))  # BoTorch draws from the global one
        model, lengths = self._fitted()
        center = torch.from_numpy(self._points[self._values.argmax()])
        weights = lengths / lengths.mean()
        weights = weights / weights.log().mean().exp()
        low = (center - weights * self._length / 2).clamp(0, 1)
        high = (center + weights * self._length / 2).clamp(0, 1)
        count = min(100 * self._dim, CANDIDATES)
        sobol = torch.quasirandom.SobolEngine(self._dim, scramble=True, seed=int(torch.randint(2**31, (1,))))
        moved = low + (high - low) * sobol.draw(count, dtype=torch.float64)
        mask = torch.rand(count, self._dim) <= min(1.0, 20 / self._dim)
        none = (~mask.any(1)).nonzero()[:, 0]
        mask[none, torch.randint(self._dim, (len(none),))] = True
        candidates = torch.where(mask, moved, center)
        with torch.no_grad():
            chosen = MaxPosteriorSampling(model, replacement=False)(candidates, num_samples=n)
        return chosen.numpy()  # type: ignore[no-any-return]

    def _fitted(self) -> tuple[Any, torch.Tensor]:
        """The Gaussian process, and the length of each axis."""
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from gpytorch.constraints import Interval
        from gpytorch.kernels import MaternKernel, ScaleKernel
        from gpytorch.likelihoods import GaussianLikelihood
        from gpytorch.mlls import ExactMarginalLogLikelihood

        spread = self._values.std() or 1.0
        values = torch.from_numpy((self._values - self._values.mean()) / spread)[:, None]
        kernel = MaternKernel(nu=2.5, ard_num_dims=self._dim, lengthscale_constraint=Interval(0.005, 4.0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = SingleTaskGP(
                torch.from_numpy(self._points),
                values,
                covar_module=ScaleKernel(kernel),
                likelihood=GaussianLikelihood(noise_constraint=Interval(*(NOISY if self._noisy else NOISELESS))),
                outcome_transform=None,
            )
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model, kernel.lengthscale.detach().double().view(-1)
