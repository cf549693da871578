"""One channel of a convolutional layer alone: the last convolution, and what follows it, cut down to that channel."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from mango.targets.spiking.graph import Node

CHANNELWISE = (nn.AvgPool2d, nn.MaxPool2d, nn.Dropout, nn.Dropout2d, nn.Identity, nn.ReLU)


def narrowed(plan: Sequence[Node], last: str, channel: int) -> tuple[Node, ...] | None:
    """The operations of a plan that give one channel of its last one.

    Args:
        plan: operations in order, as `Graph.up_to` gives them.
        last: name of the operation whose output is wanted.
        channel: of it.

    Returns:
        None where the channels are not those of one convolution, pooled and normalised each by itself.
    """
    if last not in {node.name for node in plan}:
        return None
    nodes = {node.name: node for node in plan}
    readers = [name for node in plan for name in node.inputs]
    cut: dict[str, Node] = {}
    name = last
    while (node := nodes.get(name)) is not None and readers.count(name) == (name != last):
        if type(node.module) is nn.Conv2d and node.module.groups == 1:
            cut[name] = _with(node, _conv(node.module, channel))
            return tuple(cut.get(node.name, node) for node in plan)
        if type(node.module) is nn.BatchNorm2d:
            cut[name] = _with(node, _norm(node.module, channel))
        elif type(node.module) not in CHANNELWISE:
            return None
        (name,) = node.inputs
    return None


def _with(node: Node, module: nn.Module) -> Node:
    return replace(node, module=module, call=module)


def _conv(module: nn.Conv2d, channel: int) -> nn.Conv2d:
    one: Any = copy.copy(module)
    one._parameters = dict(module._parameters)
    one.out_channels = 1
    one.weight = nn.Parameter(module.weight[channel : channel + 1], requires_grad=False)
    if module.bias is not None:
        one.bias = nn.Parameter(module.bias[channel : channel + 1], requires_grad=False)
    return one  # type: ignore[no-any-return]


def _norm(module: nn.BatchNorm2d, channel: int) -> nn.BatchNorm2d:
    one = nn.BatchNorm2d(1, eps=module.eps, affine=module.affine).eval().requires_grad_(False)
    own = {name: value[channel : channel + 1] for name, value in module.state_dict().items() if value.dim()}
    one.load_state_dict(own, strict=False)
    return one
