"""What the kernels know of a neuron: how its potential charges and how it is reset, in its package's own operations.

One step takes the potential U and the input current I to H, in float32 and in this order (r: rate, v: rest):

    DECAY        H = r U + I                  snnTorch's Leaky; integrate-and-fire with r = 1
    RELAX        H = (U - (U - v) r) + I      SpikingJelly's parametric LIF without decay of the input
    RELAX_BY     H = (U - (U - v) / r) + I    SpikingJelly's LIF without decay of the input
    RELAX_ALL    H = U + (I - (U - v)) r      ... and with it
    RELAX_ALL_BY H = U + (I - (U - v)) / r

A neuron spikes, S = 1, where H > above. With P = 1 where U > above (the spike of the step before) and the amount a:

    NONE           U' = H
    LATE_SUBTRACT  U' = H - P a               snnTorch's, one step late
    LATE_ZERO      U is first multiplied by 1 - P
    SUBTRACT       U' = H - S a               SpikingJelly's soft reset
    REPLACE        U' = S a + (1 - S) H       and its hard one
    BOTH_SUBTRACT  H is less P a before it spikes; U' = H - (S - P) a     snnTorch's without delay
    BOTH_ZERO      U is first multiplied by 1 - P; U' = H - (S - P) H
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango.errors import InputError


class Charge(IntEnum):
    """How a current charges a potential."""

    DECAY = 0
    RELAX = 1
    RELAX_BY = 2
    RELAX_ALL = 3
    RELAX_ALL_BY = 4


class Reset(IntEnum):
    """What a spike does to the potential."""

    NONE = 0
    LATE_SUBTRACT = 1
    LATE_ZERO = 2
    SUBTRACT = 3
    REPLACE = 4
    BOTH_SUBTRACT = 5
    BOTH_ZERO = 6


@dataclass(frozen=True)
class Dynamics:
    """Of a layer of neurons; use `leaky` or `relaxing` to make one.

    Attributes:
        parameters: ``(5, channels or 1)`` float32: rate, rest, above, amount, and the potential before the first step.
    """

    charge: Charge
    reset: Reset
    parameters: NDArray[np.float32]

    def over(self, channels: int) -> NDArray[np.float32]:
        """The parameters of so many channels, contiguous ``(5, channels)``.

        Raises:
            InputError: they are given for another number.
        """
        given = self.parameters.shape[1]
        if given not in (1, channels):
            raise InputError(f"the neuron has parameters for {given} channels; its currents have {channels}")
        return np.ascontiguousarray(np.broadcast_to(self.parameters, (len(self.parameters), channels)))

    def without_reset(self) -> Dynamics:
        """The same neurons, whose spikes leave their potential alone."""
        return Dynamics(self.charge, Reset.NONE, self.parameters)


def leaky(beta: ArrayLike, threshold: ArrayLike, reset: str = "subtract", *, delayed: bool = True) -> Dynamics:
    """The Leaky of snnTorch (version 1.0, Eshraghian et al. 2023).

    Args:
        beta: a number or one per channel; kept in [0, 1], as the package does.
        threshold: a number or one per channel.
        reset: ``subtract``, ``zero`` or ``none``.
        delayed: its ``reset_delay``.

    Raises:
        InputError: another reset, or parameters that are not finite or of unequal length.
    """
    forms = {
        ("subtract", True): Reset.LATE_SUBTRACT,
        ("subtract", False): Reset.BOTH_SUBTRACT,
        ("zero", True): Reset.LATE_ZERO,
        ("zero", False): Reset.BOTH_ZERO,
        ("none", True): Reset.NONE,
        ("none", False): Reset.NONE,
    }
    if (reset, delayed) not in forms:
        raise InputError(f"expected reset subtract, zero or none; got {reset!r}")
    rate = np.clip(np.asarray(beta, np.float32), 0, 1)
    return Dynamics(Charge.DECAY, forms[reset, delayed], _parameters(rate, 0, threshold, threshold, 0))


def relaxing(
    threshold: float,
    v_reset: float | None,
    *,
    tau: float | None = None,
    rate: float | None = None,
    decay_input: bool = True,
    initial: float | None = None,
) -> Dynamics:
    """The IF, LIF and parametric LIF nodes of SpikingJelly (version 2.0, Fang et al. 2023).

    They spike at the threshold already, H >= threshold.

    Args:
        threshold: ``v_threshold``.
        v_reset: the potential after a spike; None: the threshold is subtracted.
        tau: of a LIF node, in steps.
        rate: 1 / tau of a parametric LIF node, the sigmoid of its weight. Neither: integrate-and-fire.
        decay_input: whether the input decays too.
        initial: the potential before the first step; None: ``v_reset``, or 0 without one.

    Raises:
        InputError: both tau and rate, or parameters that are not finite.
    """
    if tau is not None and rate is not None:
        raise InputError(f"expected tau or rate; got both, {tau} and {rate}")
    reset = Reset.SUBTRACT if v_reset is None else Reset.REPLACE
    rest = 0.0 if v_reset is None else v_reset
    if tau is None and rate is None:
        charge, rate = Charge.DECAY, 1.0
    elif tau is not None and np.frexp(np.float32(tau))[0] == 0.5:  # a power of two: to multiply is the same, and fast
        charge, rate = Charge.RELAX_ALL if decay_input else Charge.RELAX, 1 / tau
    elif tau is not None:
        charge, rate = Charge.RELAX_ALL_BY if decay_input else Charge.RELAX_BY, tau
    else:
        charge = Charge.RELAX_ALL if decay_input else Charge.RELAX
    above = np.nextafter(np.float32(threshold), np.float32(-np.inf))  # H >= threshold
    amount = threshold if v_reset is None else v_reset
    return Dynamics(charge, reset, _parameters(rate, rest, above, amount, rest if initial is None else initial))


def _parameters(*rows: ArrayLike | None) -> NDArray[np.float32]:
    try:
        table = np.stack(np.broadcast_arrays(*(np.ravel(np.asarray(row, np.float32)) for row in rows)))
    except ValueError:
        sizes = ", ".join(str(np.size(row)) for row in rows)  # type: ignore[arg-type]
        raise InputError(f"expected numbers, or one per channel; got parameters of lengths {sizes}") from None
    if not np.isfinite(table).all():
        raise InputError(f"expected finite parameters of a neuron; got {table.tolist()}")
    return table
