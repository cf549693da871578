"""Units of spiking networks as targets: any feed-forward network of snnTorch, SpikingJelly or Norse, and the zoo's."""

from mango.targets.spiking.network import Check, SpikingNetwork
from mango.targets.spiking.preprocess import Preprocess
from mango.targets.spiking.target import SpikingTarget, parse_place

__all__ = ["Check", "Preprocess", "SpikingNetwork", "SpikingTarget", "parse_place"]
