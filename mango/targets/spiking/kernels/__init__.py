"""Spiking layers computed where the spikes are: neurons over all steps at once, convolutions event by event.

Spikes are packed, 16 channels to a word (`trains`); the results have the bits of the packages' own loops. A C extension
does the work where one was built, numba elsewhere (`backend`).
"""

from mango.targets.spiking.kernels.backend import active
from mango.targets.spiking.kernels.convolution import Order, Prepared, prepare, spike_convolution
from mango.targets.spiking.kernels.dynamics import Charge, Dynamics, Reset, leaky, relaxing
from mango.targets.spiking.kernels.layers import Affine, Layer, fire
from mango.targets.spiking.kernels.orders import linear_order_of, order_of
from mango.targets.spiking.kernels.trains import count, first_spike, flatten, integrate, pack, unpack

__all__ = [
    "Affine",
    "Charge",
    "Dynamics",
    "Layer",
    "Order",
    "Prepared",
    "Reset",
    "active",
    "count",
    "fire",
    "first_spike",
    "flatten",
    "integrate",
    "leaky",
    "linear_order_of",
    "order_of",
    "pack",
    "prepare",
    "relaxing",
    "spike_convolution",
    "unpack",
]
