"""CMA-ES, full and diagonal: a Gaussian that follows the better answers (Hansen 2016; Ros and Hansen 2008).

The update is our own, `cma_gaussian`, since neither package serves a study. pycma keeps its state in hundreds of
private attributes (a pickle of 276 MB at 4,096 axes), refuses part of a generation and draws from the global generator;
cmaes keeps its state private too, tells exactly one population, and has no step for a point of another distribution. A
study needs flat arrays that resume bit for bit, any subset of answers, and answers that come a batch late. The tests
hold this one to pycma's number of evaluations.

What is ours, beyond the tutorial:

**Generations** close as `mango.optimizers.generation` says; all answers in hand enter, with weights for that many.
Updating at every `popsize` answers instead is quicker on a sphere, but with a batch of twice the size always under way
it diverges on an ellipsoid.

**Answers to the last distribution**, asked before it moved, count. A step is taken half from the distribution that drew
the point and half from the present one. On sphere, ellipsoid and Rosenbrock (10 and 40 axes), with one batch always
under way, this needs 0.8 to 1.6 times the evaluations of waiting for each batch; the first half alone up to 2.1, the
second alone up to 1.9, dropping such answers 1.5 to 2.2.

**Bounds**: the box is continued without end by its mirror images, and the search runs there without bounds. What is
asked is the point that a sample is mirrored to; what is learned is the sample. (Learning the mirrored points instead
makes the step size explode in the corner of a box.)

**Ties** share the mean of their weights; a generation of equal answers teaches nothing and leaves the distribution as
it is, and after three of them the search starts afresh.

**Restarts** from a new mean drawn from the prior, when a run is over, with a population and a step as BIPOP has them:
see `cma_restart`. The population doubles only while twenty such generations fit into the budget.

**Foreign points** that beat everything seen: before the first generation the mean moves there; later such a point joins
one generation, its step cut to the length usual for a sample (Hansen 2011, "Injecting external solutions into CMA-ES",
arXiv 1110.4181, eq. 3-4).

Grid axes are searched as intervals and cut to the nearest point. `cma-diagonal` also searches a code book with an
embedding, in the embedding's coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mango.charts import Chart
from mango.errors import InputError, OptionError
from mango.optimizers.base import Floats, Ids, Learned, Optimizer, State, merit, part_of, ranking
from mango.optimizers.bounds import Unbounded, nearest_image
from mango.optimizers.cma_gaussian import Gaussian, Rates, raw_weights
from mango.optimizers.cma_restart import Progress, Regimes
from mango.optimizers.generation import Generation, shared_weights
from mango.optimizers.relaxed import relaxed
from mango.space import Codes, SearchSpace

STEP = {"uniform": 0.3, "normal": 0.8}  # first step: share of a box's width; unit of a normal prior
MOST_AXES = 1000  # of the full covariance
FLAT = 3  # generations of equal answers before a fresh start


class CMA(Optimizer):
    """Covariance matrix adaptation on continuous axes.

    Options: ``diagonal`` (keep only the covariance's diagonal, O(dim)); ``popsize``, answers of a generation, by
    default 4 + 3 ln dim; ``step``, the first standard deviation, by default 0.3 of the width of a uniform box or 0.8 of
    the unit of a normal prior.

    Raises:
        InputError: labels, which have no coordinates, or more axes than the full covariance can hold.
        OptionError: a population below 2, a step that is no positive number.
    """

    OPTIONS: ClassVar[Mapping[str, Any]] = {"diagonal": False, "popsize": None, "step": None}
    SUMMARY: ClassVar[str] = "CMA-ES with restarts; the standard on continuous axes and charts"

    def __init__(self, space: SearchSpace, *, chart: Chart | str | None = None, **settings: Any) -> None:
        if chart is None and not space.is_box:
            chart = relaxed(space)
            if chart is None or (space.embedding is not None and not settings.get("diagonal")):
                advice = ", or use cma-diagonal" if chart is not None else ""
                raise InputError(
                    "cma needs continuous axes or ordered grids; this space has labels: "
                    f"give it a chart, such as chart='frequencies:64'{advice}"
                )
        super().__init__(space, chart=chart, **settings)
        self._diagonal, popsize, step = (self.options[name] for name in ("diagonal", "popsize", "step"))
        dim = self.domain.dim
        if not isinstance(self._diagonal, bool):
            raise OptionError(f"diagonal must be true or false; got {self._diagonal!r}")
        if popsize is None:
            popsize = 4 + int(3 * math.log(dim))  # (48)
        if isinstance(popsize, bool) or not isinstance(popsize, int) or popsize < 2:
            raise OptionError(f"popsize must be a whole number >= 2; got {popsize!r}")
        if step is None:
            step = STEP[self.domain.prior]
        if isinstance(step, bool) or not isinstance(step, (int, float)) or not 0 < step < math.inf:
            raise OptionError(f"step must be a positive number; got {step!r}")
        if not self._diagonal and dim > MOST_AXES:
            raise InputError(
                f"cma keeps a {dim} x {dim} covariance, too much beyond {MOST_AXES} axes; "
                "use cma-diagonal, or a chart such as chart='frequencies:64'"
            )
        self.chart = Unbounded(self.domain, self.chart)
        normal = self.domain.prior == "normal"
        low, high = self.domain.lower, self.domain.upper
        self._unit = np.ones(dim) if normal else high - low
        self._center = np.clip(0.0, low, high) if normal else (low + high) / 2
        self._widest = float(((high - low) / self._unit).max())
        self._step = float(step)
        self._regimes = Regimes(popsize)
        self._peak = (-math.inf, -math.inf)  # best value and key seen
        self._guest: tuple[Floats, float, float] | None = None  # a foreign point to inject: scaled, value, key
        self._flat = 0  # generations of equal answers in a row
        self._begin(np.zeros(dim))

    # -- ask and tell ----------------------------------------------------------------------------------------------

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        drawn = self._center + self._unit * self._gaussian.draw(len(ids), self.rng)
        name = "cma-diagonal" if self._diagonal else "cma"
        return drawn, [name] * len(ids)

    def _learn(self, batch: Learned) -> None:
        taken = self._generation.add(batch)
        self._peak = max([self._peak, *map(merit, taken.values.tolist(), taken.keys.tolist())])
        self._overdue()
        if self._generation.complete(self._regimes.popsize, self._awaited):
            self._close()

    def _observe(self, batch: Learned) -> None:
        first = ranking(batch.values, batch.keys)[0]
        value, key = float(batch.values[first]), float(batch.keys[first])
        if math.isnan(value) or merit(value, key) <= self._peak:
            return
        self._peak = merit(value, key)
        scaled = (batch.points[first] - self._center) / self._unit
        if self._gaussian.updates:
            self._guest = (scaled, value, key)
        else:
            self._gaussian.mean = scaled
            self._record()

    # -- a generation ----------------------------------------------------------------------------------------------

    def _close(self) -> None:
        ids, points, values, keys, _ = self._generation.close()
        steps = self._steps(ids, (points - self._center) / self._unit)
        if self._guest is not None:
            point, value, key = self._guest
            steps = np.concatenate([steps, self._injected(point)[None]])
            values, keys = np.append(values, value), np.append(keys, key)
            self._guest = None
        raw = shared_weights(values, keys, raw_weights(len(values)))
        if raw is None:
            self._flat += 1
            if self._flat >= FLAT:
                self._begin((self.domain.sample(1, self.rng)[0] - self._center) / self._unit)
            return
        self._flat = 0
        self._gaussian.update(steps, Rates.of(raw, self.domain.dim, diagonal=self._diagonal))
        self._record()
        self._progress.note(values, keys)
        if self._progress.answers >= self._regimes.most or self._progress.over(
            self._gaussian, self._step * self._regimes.step, self._widest
        ):
            self._regimes.next(self._progress.answers, self.budget, self.rng)
            self._begin((self.domain.sample(1, self.rng)[0] - self._center) / self._unit)

    def _steps(self, ids: Ids, scaled: Floats) -> Floats:
        """Half the step from the distribution that drew each point, half the step from the present one."""
        centers, sigmas = self._generation.origins(ids)
        own = (scaled - centers) / sigmas
        present = (scaled - self._gaussian.mean) / self._gaussian.sigma
        steps: Floats = (own + present) / 2
        return steps

    def _injected(self, point: Floats) -> Floats:
        """Step ``(dim,)`` towards a foreign point, by way of its nearest mirror image."""
        dim, gaussian = self.domain.dim, self._gaussian
        low, high = ((bound - self._center) / self._unit for bound in (self.domain.lower, self.domain.upper))
        step = (nearest_image(point, gaussian.mean, low, high) - gaussian.mean) / gaussian.sigma
        usual = math.sqrt(dim) + 2 * dim / (dim + 2)  # Hansen (2011), eq. 4 and table 1
        length = float(np.linalg.norm(gaussian.whiten(step[None])))
        cut: Floats = step * min(1.0, usual / max(length, 1e-300))
        return cut

    def _begin(self, mean: Floats) -> None:
        """A new run from a mean in units of the start; open trials of the last one are forgotten."""
        self._gaussian = Gaussian(mean, self._step * self._regimes.step, diagonal=self._diagonal)
        self._generation = Generation(len(mean))
        self._progress = Progress(len(mean), self._regimes.popsize)
        self._flat = 0
        self._record()

    def _record(self) -> None:
        self._generation.drawn_from(self._next, self._gaussian.mean, self._gaussian.sigma)

    # -- state -----------------------------------------------------------------------------------------------------

    def _state(self) -> State:
        state: State = {
            "flat": self._flat,
            "peak": np.array(self._peak),
        }
        if self._guest is not None:
            state |= {"guest_point": self._guest[0], "guest_merit": np.array(self._guest[1:])}
        state |= {f"progress_{name}": part for name, part in self._progress.state().items()}
        state |= {f"regimes_{name}": part for name, part in self._regimes.state().items()}
        state |= {f"generation_{name}": part for name, part in self._generation.state().items()}
        return state | {f"gaussian_{name}": part for name, part in self._gaussian.state().items()}

    def _restore(self, state: State) -> None:
        self._flat = int(state["flat"])
        self._peak = (float(state["peak"][0]), float(state["peak"][1]))
        self._regimes.restore(part_of(state, "regimes_"))
        self._progress = Progress(self.domain.dim, self._regimes.popsize)
        self._progress.restore(part_of(state, "progress_"))
        self._guest = None
        if "guest_point" in state:
            value, key = (float(part) for part in state["guest_merit"])
            self._guest = (state["guest_point"], value, key)
        self._generation.restore(part_of(state, "generation_"))
        self._gaussian = Gaussian.restore(part_of(state, "gaussian_"), diagonal=self._diagonal)
