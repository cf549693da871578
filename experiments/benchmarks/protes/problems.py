"""Problems P-11 to P-20 of PROTES (Batsheva, Chertkov, Ryzhakov and Oseledets 2023, arXiv 2301.12162): losses of bits.

P-11 to P-14 are teneva-bm's own: Max-Cut, minimum vertex cover and a quadratic knapsack as QUBO, and a 0-1 knapsack,
all of 50 bits, seed 42. P-15 to P-20 choose a binary control of x' = x^3 - i, x(0) = 0.8, so that x stays near 0.7 up
to t = 1, at 25, 50 and 100 points of time. teneva-bm solves that with gekko, which starts a program for each call (20
ms and more); here the same implicit Euler steps are taken in numpy, for many controls at once. Both agree to four
digits or more wherever gekko finds a solution; where it finds none (the state runs away) it reports 1e50, and we a
large loss. The best control of a run is evaluated by teneva-bm in the end, and that value is the one reported.

In P-18 to P-20 a control must not begin with 01, 10 or 110, else the loss is 1e42.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

START, WANTED, LAST = 0.8, 0.7, 1.0  # x(0), the target of x, the last time
NEWTON = 8  # iterations; the steps are short, so that five reach rounding
FORBIDDEN = 1e42
POINTS = {15: 25, 16: 50, 17: 100, 18: 25, 19: 50, 20: 100}

# Loss reached within 1e4 calls, as published (their table 2); None where the method failed.
PUBLISHED: dict[str, dict[int, float | None]] = {
    "PROTES": dict(
        zip(
            range(11, 21),
            (-359, -5927, -3.0718, -3079, 6.676e-3, 1.4061e-2, 2.9567e-2, 1.3923e-2, 6.43e-2, 0.15466),
            strict=True,
        )
    ),
    "TTOpt": dict(
        zip(
            range(11, 21),
            (-347, -5926, -3.0334, -2800, 7.407e-3, 2.632e-2, 0.57226, 1.1287e-2, 0.5722, None),
            strict=True,
        )
    ),
    "PSO": dict(
        zip(
            range(11, 21),
            (-340, -5875, 14.88, -2955, 8.94e-3, 1.6804e-2, 3.5762e-2, 6.2461e-2, None, None),
            strict=True,
        )
    ),
    "Portfolio": dict(
        zip(
            range(11, 21),
            (-362, -5926, -2.9593, -2973, 7.348e-3, 1.439e-2, 3.7166e-2, 2.0563e-2, None, None),
            strict=True,
        )
    ),
}


@dataclass(frozen=True)
class Problem:
    """One of them.

    Attributes:
        number: 11 to 20.
        dim: bits.
        reference: teneva-bm's own benchmark.
    """

    number: int
    dim: int
    reference: Any

    def losses(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of controls or bits ``(n, dim)``."""
        if self.number < 15:
            found: NDArray[np.float64] = np.asarray(self.reference.get(codes), np.float64)
            return found
        losses = control_losses(codes)
        return np.where(forbidden(codes), FORBIDDEN, losses) if self.number >= 18 else losses

    def confirmed(self, code: NDArray[np.int64]) -> float:
        """The loss of one code ``(dim,)`` by teneva-bm, gekko included."""
        if self.number >= 18 and forbidden(code[None])[0]:
            return FORBIDDEN
        return float(self.reference.target(code)) if self.number >= 15 else float(self.losses(code[None])[0])


def problem(number: int) -> Problem:
    """By its number, 11 to 20."""
    import teneva_bm

    if number < 15:
        names = {11: "BmQuboMaxcut", 12: "BmQuboMvc", 13: "BmQuboKnapQuad", 14: "BmQuboFixKnap50"}
        reference = getattr(teneva_bm, names[number])(d=50)
    else:
        reference = (teneva_bm.BmOdeocSimple if number < 18 else teneva_bm.BmOdeocSimpleConstr)(d=POINTS[number])
    reference.prep()
    return Problem(number, int(reference.d), reference)


def control_losses(controls: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum over time of (x - 0.7)^2 / 2 for controls ``(n, points)``; x follows by implicit Euler steps."""
    push = np.asarray(controls, np.float64)
    n, points = push.shape
    step = LAST / (points - 1)
    state, total = np.full(n, START), np.zeros(n)
    with np.errstate(all="ignore"):  # some states run away
        for k in range(1, points):
            after = state
            for _ in range(NEWTON):
                after = after - (after - state - step * (after**3 - push[:, k])) / (1 - 3 * step * after**2)
            state = after
            total += 0.5 * (state - WANTED) ** 2
    return np.where(np.isfinite(total), total, FORBIDDEN)


def forbidden(controls: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each control ``(n, points)`` begins with 01, 10 or 110."""
    first, second, third = controls[:, 0], controls[:, 1], controls[:, 2]
    barred: NDArray[np.bool_] = (first != second) | ((first == 1) & (second == 1) & (third == 0))
    return barred
