"""What a search is asked to do: one value for each option of `mango search`, checked, expanded, and kept as JSON."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mango.configuration import shows_again
from mango.errors import InputError, OptionError, StorageError

MOST_SEARCHES = 10_000  # that one command may ask for
PROBES = {  # where first codes come from -> the generator's method that draws them, the origin of their trials
    "natural": ("natural", "natural"),
    "prior": ("sample_prior", "sampled"),
}
ALONE = "."  # the folder of a search that is the only one


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One search; the first eight are what most searches name.

    Attributes:
        generator, target: their names.
        optimizer, budget, batch, seed, repeats, chart, options, weight, ordered, leaders, confirm: see `mango.Study`.
        workers: Ray processes; 0 evaluates in this process.
        probes: codes that are evaluated first; they count towards the budget.
        probes_from: where these come from, one of `PROBES`.
        data: folder of images to compare with, see `mango.datasets`; made absolute.
        time_limit: seconds for each evaluation; needs workers.
        ray_address: of a Ray cluster; needs workers.
        chunk: trials that share one call of the target; None: the target's ``batch_size``, but in ordered mode not
            more than a batch. Values may depend on it, so a search keeps the one that it began with.
        gpus: of each worker, or a share of one; needs workers.

    Raises:
        OptionError: a number out of range, or options that do not go together.
    """

    generator: str
    target: str
    optimizer: str = "auto"
    budget: int = 2000
    batch: int = 20
    seed: int = 0
    workers: int = 2
    repeats: int = 1
    chart: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 0.0
    ordered: bool = True
    probes: int = 0
    probes_from: str = "natural"
    data: str | None = None
    time_limit: float | None = None
    ray_address: str | None = None
    chunk: int | None = None
    gpus: float = 0.0
    leaders: float = 0.0
    confirm: int = 0

    def __post_init__(self) -> None:
        lowest = {"budget": 1, "batch": 1, "chunk": 1, "repeats": 1, "seed": 0, "workers": 0}
        lowest |= {"probes": 0, "confirm": 0}
        for name, least in lowest.items():
            value = getattr(self, name)
            if (name, value) != ("chunk", None) and (type(value) is not int or value < least):
                raise OptionError(f"{name} must be a whole number >= {least}; got {value!r}")
        if self.probes * self.repeats > self.budget - self.confirm:
            kept = f", of which {self.confirm} are kept to confirm the final choice" if self.confirm else ""
            raise OptionError(
                f"{self.probes} probes of {self.repeats} presentations each do not fit a budget of {self.budget}{kept}"
            )
        if self.probes_from not in PROBES:
            raise OptionError(f"probes_from must be {' or '.join(PROBES)}; got {self.probes_from!r}")
        if not 0 <= self.leaders < 1:
            raise OptionError(f"leaders must be a share of the presentations, 0 <= leaders < 1; got {self.leaders!r}")
        if self.time_limit is not None and not (math.isfinite(self.time_limit) and self.time_limit > 0):
            raise OptionError(f"time_limit must be a number of seconds > 0; got {self.time_limit!r}")
        if not self.workers and self.time_limit is not None:
            raise OptionError("a time limit needs workers, since only another process can be ended; use 1 or more")
        if not self.workers and self.ray_address is not None:
            raise OptionError("a Ray address needs workers; use 1 or more")
        if not self.workers and self.gpus:
            raise OptionError("GPUs are given to workers; use 1 or more")
        if self.data is not None:
            object.__setattr__(self, "data", str(Path(self.data).expanduser().absolute()))

    @property
    def noisy(self) -> bool:
        """Whether stimuli are shown more than once."""
        return shows_again(self.repeats, self.leaders, self.confirm)

    def to_json(self) -> dict[str, Any]:
        """The inverse of `from_json`."""
        return {**asdict(self), "options": dict(self.options)}

    @classmethod
    def from_json(cls, kept: Any, where: str) -> Settings:
        """What `to_json` gave.

        Args:
            kept: the dict.
            where: it was found, for messages.

        Raises:
            StorageError: something is missing or was altered.
        """
        try:
            return cls(**kept)
        except (TypeError, ValueError) as error:
            raise StorageError(f"the settings in {where} cannot be read: {error}") from error

    def command(self, folder: Path | str) -> str:
        """The command line that does this search again; only what differs from the defaults beyond the usual."""
        words = ["mango", "search"]
        usual = {"generator", "target", "optimizer", "budget", "batch", "seed", "workers"}
        for item in fields(self):
            value = getattr(self, item.name)
            name = f"--{item.name.replace('_', '-')}"
            if item.name == "options":
                words += [word for key, given in value.items() for word in ("--option", f"{key}={given}")]
            elif item.name == "ordered":
                words += [] if value else ["--no-ordered"]
            elif item.name in usual or value != item.default:
                words += [name, str(value)]
        return shlex.join([*words, "--out", str(folder)])


def expand_targets(spec: str) -> list[str]:
    """Every unit of a range: ``net:lif2/0-2@rate`` names three. Anything else names itself.

    Raises:
        InputError: a range that runs backwards or is too long.
    """
    match = re.fullmatch(r"(.+/)(\d+)-(\d+)(@.*)?", spec)
    if match is None:
        return [spec]
    before, after = match[1], match[4] or ""
    return [f"{before}{unit}{after}" for unit in _range(match[2], match[3], spec)]


def expand_seeds(text: str) -> list[int]:
    """``"0-4"`` or ``"0,3,7-9"`` as numbers, in order, each once.

    Raises:
        InputError: anything else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if match is None:
            raise InputError(f"seeds are given as 0-4 or 0,3,7; got {text!r}")
        seeds += _range(match[1], match[2] or match[1], text)
    return list(dict.fromkeys(seeds))


def searches(settings: Settings, seeds: list[int]) -> dict[str, Settings]:
    """Folder of each search below the output folder -> its settings; ``"."`` alone where there is one search."""
    targets = expand_targets(settings.target)
    if len(targets) * len(seeds) > MOST_SEARCHES:
        raise InputError(f"{len(targets)} units and {len(seeds)} seeds are more than {MOST_SEARCHES:,} searches")
    found = {}
    for target in targets:
        for seed in seeds:
            parts = [unit_folder(target)] if len(targets) > 1 else []
            parts += [f"seed-{seed}"] if len(seeds) > 1 else []
            found["/".join(parts) or ALONE] = replace(settings, target=target, seed=seed)
    return found


def unit_folder(target: str) -> str:
    """A folder's name for a unit: ``lif2-17`` for ``net:lif2/17``."""
    return re.sub(r"[^\w.@+-]+", "-", target.partition(":")[2] or target).strip("-.")


def _range(first: str, last: str, text: str) -> list[int]:
    low, high = int(first), int(last)
    if high < low:
        raise InputError(f"the range {first}-{last} in {text!r} runs backwards")
    if high - low >= MOST_SEARCHES:
        raise InputError(f"the range {first}-{last} in {text!r} is longer than {MOST_SEARCHES:,}")
    return list(range(low, high + 1))
