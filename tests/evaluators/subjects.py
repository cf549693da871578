"""Generators and targets to be evaluated; classes here, so that Ray workers find them by name."""

import os
import threading
import time
from pathlib import Path

import numpy as np

from mango.space import SearchSpace
from mango.trial import Trial

DIM = 6


class Plain:
    """Decodes a code to itself."""

    space = SearchSpace.box(DIM)
    stimulus_shape = (DIM,)

    def decode(self, codes):
        return self.space.validate(codes)


class Bowl:
    """Noise comes from the seeds; the key is the first coordinate."""

    def respond(self, stimuli, seeds=None):
        noise = np.zeros(len(stimuli)) if seeds is None else [np.random.default_rng(s).normal() for s in seeds]
        return -np.square(stimuli).sum(1) + 0.01 * np.asarray(noise), stimuli[:, 0]


class Layer:
    """A layer wide enough for the sums of its threads to round differently."""

    def __init__(self):
        self.weights = np.random.default_rng(5).normal(size=(100, 3072)).astype(np.float32)

    def respond(self, stimuli):
        import torch

        wide = torch.from_numpy(np.tile(stimuli, 3072 // DIM).astype(np.float32))
        with torch.inference_mode():
            return torch.nn.functional.linear(wide, torch.from_numpy(self.weights)).sum(1).numpy()


class Threads:
    """Answers the most threads that any library would use, and the niceness of the process as keys."""

    def respond(self, stimuli):
        import numba
        import torch
        from threadpoolctl import threadpool_info

        pools = [library["num_threads"] for library in threadpool_info()]
        most = max(torch.get_num_threads(), numba.get_num_threads(), *pools)
        return np.full(len(stimuli), float(most)), np.full(len(stimuli), float(os.nice(0)))


class Answering:
    """Answers what it was made with, once for each stimulus where it is a number."""

    def __init__(self, answer):
        self.answer = answer

    def respond(self, stimuli):
        return np.full(len(stimuli), self.answer) if isinstance(self.answer, float) else self.answer


class Raising:
    def __init__(self, error):
        self.error = error

    def respond(self, _):
        raise self.error


class Marked:
    """Answers the worker's process id; stimuli of first coordinate 1 do something first."""

    def respond(self, stimuli):
        if (stimuli[:, 0] == 1.0).any():
            self.act()
        return np.full(len(stimuli), float(os.getpid()))

    def act(self):
        raise NotImplementedError


class Deadly(Marked):
    def act(self):
        os._exit(1)


class DeadlyAtFirst(Marked):
    """Kills the worker as often as there are files in a folder, and removes one each time."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def act(self):
        for file in self.folder.iterdir():
            file.unlink()
            os._exit(1)


class Hanging(Marked):
    def act(self):
        time.sleep(3600)


class Gathering:
    """Waits until eight calls are under way, and says so: one more would be counted, one less would wait for ever."""

    batch_size = 1
    concurrency = 8
    lock = threading.Lock()
    running = most = 0
    together = threading.Barrier(8)

    def respond(self, stimuli):
        with self.lock:
            Gathering.running += 1
            Gathering.most = max(self.most, self.running)
        self.together.wait()
        with self.lock:
            Gathering.running -= 1
        return np.full(len(stimuli), float(self.most)), np.full(len(stimuli), float(os.getpid()))


class Threaded(Marked):
    """Of four calls at a time; the key is how many stimuli shared the call."""

    batch_size = 5
    concurrency = 4

    def respond(self, stimuli):
        return super().respond(stimuli), np.full(len(stimuli), float(len(stimuli)))


class ThreadedDeadly(Threaded, Deadly):
    pass


class ThreadedDeadlyAtFirst(Threaded, DeadlyAtFirst):
    pass


class ThreadedHanging(Threaded, Hanging):
    batch_size = 1


class Alone(Plain):
    """A generator that fails where two threads use it at a time."""

    def __init__(self):
        self.busy = False

    def decode(self, codes):
        if self.busy:
            raise RuntimeError("two threads at a time")
        self.busy = True
        time.sleep(0.01)
        self.busy = False
        return super().decode(codes)


class Held(Marked):
    """Waits for a file; stimuli of first coordinate 1 do not."""

    def __init__(self, file):
        self.file = Path(file)

    def respond(self, stimuli):
        while not ((stimuli[:, 0] == 1.0).any() or self.file.exists()):
            time.sleep(0.01)
        return np.full(len(stimuli), float(os.getpid()))


class Visible:
    """Answers which GPU the worker may use."""

    def respond(self, stimuli):
        return np.full(len(stimuli), float(os.environ["CUDA_VISIBLE_DEVICES"]))


class Unsendable:
    def __init__(self):
        self.lock = __import__("threading").Lock()

    respond = Answering.respond


class Unreadable:
    """Pickles, and cannot be unpickled."""

    def __reduce__(self):
        return _refuse, ()

    respond = Answering.respond


def _refuse():
    raise OSError("no weights here")


def dying_factory():
    os._exit(1)


def trials(n, *, marked=(), repeats=1, start=0):
    """Trials of seeded codes; the marked ones have first coordinate 1."""
    codes = np.random.default_rng(7).uniform(-0.9, 0.9, (start + n, DIM))
    codes[list(marked), 0] = 1.0
    return [Trial(i, 1, codes[i], seeds=tuple(10 * i + r for r in range(repeats))) for i in range(start, start + n)]


def answer_all(evaluator, asked):
    """Every result, and the numbers that each collect gave."""
    asked, results, together = list(asked), [], []
    while True:
        free = evaluator.free()
        now, asked = asked[:free], asked[free:]
        evaluator.submit(now)
        if not (collected := evaluator.collect()):
            assert not asked
            return sorted(results, key=lambda r: r.number), together
        results += collected
        together.append([r.number for r in collected])


def outcome(results):
    """What must not depend on who evaluated."""
    return [(r.number, r.attempt, r.values, r.keys, r.status) for r in results]
