"""On which device, and how precisely, a network is evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from mango.errors import OptionError, UnknownName

AUTO = "auto"  # a GPU where there is one
PRECISIONS: dict[str, str] = {
    "float32": "all in float32, as the network's own loop",
    "tf32": "convolutions and matrix products with 10 bits of mantissa, on a GPU",
    "bfloat16": "convolutions and matrix products in half precision, neurons in float32",
    "float16": "the same with more bits of mantissa and a smaller range",
}
ROWS = 4  # with fewer, matrix products round otherwise than with any larger number
_HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def device_of(name: str | torch.device) -> torch.device:
    """The device that ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"auto"`` names.

    Raises:
        OptionError: another one, or a GPU that is not there.
    """
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise OptionError(f"device must be cpu, cuda or auto; got {str(name)!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise OptionError(
            f"device is {str(device)!r}, but torch sees {torch.cuda.device_count() or 'no'} GPUs; "
            "take device='auto' for one where there is one"
        )
    return device


def check_precision(name: str, device: torch.device) -> None:
    """Raises.

    Raises:
        UnknownName: no such precision.
        OptionError: one that the device does not have.
    """
    if name not in PRECISIONS:
        raise UnknownName("precision", name, PRECISIONS)
    if name == "tf32" and device.type != "cuda":
        raise OptionError(f"precision='tf32' needs a GPU; this network is on the {device.type}")


@contextmanager
def reference(device: torch.device, *, stepwise: bool = False) -> Iterator[None]:
    """Within it torch computes as the network's own loop should: in float32, and the same each time.

    On the CPU it uses one thread, for spikes must not depend on the number of cores; on a GPU no TF32, which torch's
    convolutions take by default.

    Args:
        device: of the network.
        stepwise: whether its own loop shows linear layers the rows of one step, which are few: they are taken in groups
            then, in all evaluations, where their rounding would depend on how many there are (`rows_matter`).
    """
    with ExitStack() as stack:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        stack.callback(torch.set_num_threads, threads)
        if device.type == "cuda":
            stack.enter_context(_tf32(False))
            stack.enter_context(_set(torch.backends.cudnn, "deterministic", True))
            stack.enter_context(_set(torch.backends.cudnn, "benchmark", False))
        elif stepwise and rows_matter():
            stack.enter_context(_InGroups())
        yield


@cache
def rows_matter() -> bool:
    """Whether a product of many rows rounds otherwise than one of few, as MKL's do on some processors (Ice Lake)."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn((10, 4096), generator=generator)
    rows = torch.randn((32 * ROWS, 4096), generator=generator)
    with reference(torch.device("cpu")):
        return not torch.equal(F.linear(rows, weight), _in_groups(rows, weight))


class _InGroups(TorchFunctionMode):
    """Linear layers of features ``(rows, inputs)`` see so few rows at a time that none depends on the others."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return (_in_groups if func is F.linear else func)(*args, **kwargs or {})


def _in_groups(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear layer, of features in float32 `ROWS` rows at a time."""
    if not isinstance(input, Tensor) or input.dim() != 2 or input.dtype != torch.float32:
        return F.linear(input, weight, bias)
    rows = len(input)
    filled = input[torch.arange(-(-rows // ROWS) * ROWS) % rows]
    return torch.cat([F.linear(group.clone(), weight, bias) for group in torch.split(filled, ROWS)])[:rows]


@contextmanager
def maps(device: torch.device, precision: str) -> Iterator[None]:
    """Within it convolutions and matrix products have a precision; it is entered within `reference`."""
    with ExitStack() as stack:
        if precision == "tf32":
            stack.enter_context(_tf32(True))
        elif precision in _HALF:
            stack.enter_context(torch.autocast(device.type, _HALF[precision]))
        yield


@contextmanager
def _tf32(on: bool) -> Iterator[None]:
    """With or without TF32 on a GPU; torch 2.9 renamed the switches."""
    matmul, convolution = torch.backends.cuda.matmul, getattr(torch.backends.cudnn, "conv", None)
    with ExitStack() as stack:
        if hasattr(convolution, "fp32_precision"):
            for switch in (matmul, convolution):
                stack.enter_context(_set(switch, "fp32_precision", "tf32" if on else "ieee"))
        else:
            for switch in (matmul, torch.backends.cudnn):
                stack.enter_context(_set(switch, "allow_tf32", on))
        yield


@contextmanager
def _set(switches: object, name: str, value: object) -> Iterator[None]:
    before = getattr(switches, name)
    setattr(switches, name, value)
    try:
        yield
    finally:
        setattr(switches, name, before)
