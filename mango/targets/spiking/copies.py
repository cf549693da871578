"""Copies of a user's network, so that nothing that mango does can be seen in it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from mango.errors import InputError


def copied(network: nn.Module, *, parameters: bool = False) -> nn.Module:
    """A copy with a state of its own, also of a network whose neurons still hold the graph of a training step.

    Args:
        network: stays as it is.
        parameters: whether these are copied too, rather than shared.

    Raises:
        InputError: the network holds something that cannot be copied.
    """
    memo: dict[int, Any] = {} if parameters else {id(p): p for p in network.parameters()}
    memo |= {id(value): value.detach().clone() for value in _computed(network, set())}
    try:
        return copy.deepcopy(network, memo)
    except Exception as error:  # whatever the user's attributes raise
        raise InputError(f"{type(network).__name__} cannot be copied: {type(error).__name__}: {error}") from error


def _computed(value: Any, seen: set[int]) -> Iterator[Tensor]:
    """Tensors below an object that torch refuses to copy, since they were computed from parameters."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        if not value.is_leaf:
            yield value
    elif isinstance(value, nn.Module):
        yield from _computed(vars(value), seen)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _computed(inner, seen)
    elif isinstance(value, (list, tuple, set)):
        for inner in value:
            yield from _computed(inner, seen)
