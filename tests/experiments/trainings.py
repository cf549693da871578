"""Trainings, each in a process of its own that is forked from one which has imported what all of them need.

Run as ``python -m tests.experiments.trainings``: for each line of standard input, JSON of a module of
`experiments.train`, its words and whether it is to die, it trains and prints the exit code. To import torch takes
longer than these trainings.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Train = Callable[..., int]


@contextmanager
def training(environment: Mapping[str, str] | None = None) -> Iterator[Train]:
    """``train(name, words, dying=False)``: the exit code of a training, as `subprocess` gives it.

    One that is dying is killed with one checkpoint whole and the next half in place.
    """
    command = [sys.executable, "-m", "tests.experiments.trainings"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes) as process:  # type: ignore[call-overload]

        def train(name: str, words: Sequence[str], *, dying: bool = False) -> int:
            process.stdin.write(json.dumps([name, words, dying]) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield train
        process.stdin.close()


def _serve() -> None:
    importlib.import_module("torch._dynamo")  # the first optimizer of a process imports it
    for line in sys.stdin:
        name, words, dying = json.loads(line)
        main = importlib.import_module(f"experiments.train.{name}").main
        child = os.fork()
        if child == 0:
            _train(main, words, dying)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _train(main: Callable[[list[str]], None], words: list[str], dying: bool) -> None:
    """Does not return: the process ends."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if dying:
            _die_at_the_second_checkpoint()
        main(words)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _die_at_the_second_checkpoint() -> None:
    replace, saved = os.replace, []

    def replace_once(part: Any, path: Any) -> None:
        if str(path).endswith("checkpoint.safetensors"):
            saved.append(path)
            if len(saved) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
        replace(part, path)

    os.replace = replace_once  # type: ignore[assignment]


if __name__ == "__main__":
    _serve()
