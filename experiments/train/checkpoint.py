"""Checkpoints of a training as one safetensors file: nested states flattened to named tensors, never a pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes a nested dict of tensors, numbers, strings, lists and None, atomically."""
    tensors: dict[str, torch.Tensor] = {}
    skeleton = _flatten(state, "", tensors)
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"skeleton": json.dumps(skeleton)})
    os.replace(part, path)


def load(path: Path) -> dict[str, Any]:
    """Reads what `save` wrote."""
    with safe_open(path, framework="pt") as file:
        skeleton = json.loads(file.metadata()["skeleton"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    return _restore(skeleton, tensors)


def _flatten(node: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(node, torch.Tensor):
        tensors[name] = node.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(node, dict):
        return {"dict": [[key, _flatten(value, f"{name}/{key}", tensors)] for key, value in node.items()]}
    if isinstance(node, (list, tuple)):
        return {"list": [_flatten(value, f"{name}/{i}", tensors) for i, value in enumerate(node)]}
    return {"value": node}


def _restore(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    ((kind, value),) = node.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {key: _restore(child, tensors) for key, child in value}
    if kind == "list":
        return [_restore(child, tensors) for child in value]
    return value
