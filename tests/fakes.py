"""A small generator and small targets, named as ``tests.fakes:FACTORY`` on command lines."""

import os
import time

import numpy as np

from mango.space import SearchSpace

SIDE = 8


class Tiles:
    """Images of 8 x 8 pixels from 16 labels of 8 colours, each a tile of 2 x 2 pixels."""

    stimulus_shape = (3, SIDE, SIDE)
    log_prior_quantiles = np.linspace(-64, 0, 65)

    def __init__(self):
        self.colours = np.random.default_rng(0).integers(0, 256, (8, 3)) / 255
        self.space = SearchSpace.codebook(16, 8, embedding=self.colours, layout=(4, 4))

    def decode(self, codes):
        tiles = self.colours[self.space.validate(codes)].reshape(-1, 4, 4, 3)
        return tiles.repeat(2, 1).repeat(2, 2).transpose(0, 3, 1, 2).astype(np.float32)

    def natural(self, n, rng):
        return rng.integers(0, 4, (n, 16))

    def log_prior(self, codes):
        return -np.asarray(codes, float).sum(1)

    def sample_prior(self, n, rng):
        return rng.choice(4, (n, 16), p=np.exp(-np.arange(4)) / np.exp(-np.arange(4)).sum())


class Unit:
    """Likes one colour channel at the top and another at the bottom."""

    summary = None

    def __init__(self, number=0):
        self.number = number
        self.name = f"fake:lif2/{number}@rate"

    def respond(self, stimuli):
        top, bottom = self.number % 3, (self.number + 1) % 3
        current = stimuli[:, top, :4].mean((1, 2)) + stimuli[:, bottom, 4:].mean((1, 2))
        return np.round(np.asarray(current, float) * 16) / 32, np.asarray(current, float)


class Known(Unit):
    summary = {"natural_maximum": 0.4, "natural_p999": 0.35, "natural_median": 0.1, "silent_share": 0.0}  # noqa: RUF012


class Silent(Unit):
    def respond(self, stimuli):
        return np.zeros(len(stimuli)), super().respond(stimuli)[1]


class Unlikely(Unit):
    """Likes the last colour, which no natural code has."""

    def respond(self, stimuli):
        last = Tiles().colours[-1].astype(np.float32)[:, None, None]
        return np.isclose(stimuli, last).all(1).mean((1, 2))


class Sized(Unit):
    """Its values depend a little on how many stimuli share a call."""

    batch_size = 7

    def respond(self, stimuli):
        values, keys = super().respond(stimuli)
        return values + 1e-6 * len(stimuli), keys


class Noisy(Unit):
    def respond(self, stimuli, seeds=None):
        noise = [np.random.default_rng(seed).normal() for seed in seeds]
        return super().respond(stimuli)[0] + 0.05 * np.array(noise)


class Losing(Noisy):
    """Loses the answers to a third of the seeds."""

    def respond(self, stimuli, seeds=None):
        return np.where(np.array(seeds) % 3 == 0, np.nan, super().respond(stimuli, seeds))


class Lost(Unit):
    """Loses every answer."""

    def respond(self, stimuli):
        return np.full(len(stimuli), np.nan)


class Raising(Unit):
    def respond(self, _stimuli):
        raise RuntimeError("the electrode fell out")


class Stuck(Unit):
    """Where the environment has STUCK, answers once, and then waits to be interrupted."""

    calls = 0

    def respond(self, stimuli):
        self.calls += 1
        if self.calls > 1 and "STUCK" in os.environ:
            time.sleep(3600)
        return super().respond(stimuli)


class Fragile(Unit):
    """Raises while the file that FRAGILE names is there."""

    def respond(self, stimuli):
        if os.path.exists(os.environ["FRAGILE"]):
            raise RuntimeError("the electrode fell out")
        return super().respond(stimuli)


def __getattr__(name):
    """``tests.fakes:unit/3`` is a factory too, so that ranges of units can be tried."""
    kind, slash, number = name.partition("/")
    if kind == "unit" and slash:
        return lambda: Unit(int(number))
    raise AttributeError(name)
