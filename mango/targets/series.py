"""Units of the zoo's classifiers of time series as targets: ``series-trace:LAYER/UNIT@READOUT``.

Layers are ``conv1 conv2 conv3 output``. A unit of the ``output`` is a class, by number or name; of another layer a
channel, averaged over time, or with a place ``conv2/17,40`` (channel, point). Series are ``(n, 1, length)``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from torch import nn

from mango import zoo
from mango.targets.classifier import OUTPUT, Classifier
from mango.targets.places import Unit, parse_place
from mango.targets.recorded import RecordedUnit

LENGTHS = {"series-trace": 275, "series-gunpoint": 150}
TESTED = {"series-trace": 100, "series-gunpoint": 150}  # series that the natural responses are of
CLASSES = {"series-gunpoint": ("gun", "point")}  # those of Trace have numbers alone


class SeriesUnit(RecordedUnit):
    """A unit of one of the zoo's networks; series ``(n, 1, length)`` in, values ``(n,)`` out.

    Attributes:
        natural_source: what `summary` was measured on.
    """

    def __init__(
        self, model: str, layer: str, unit: Unit | str, readout: str | None = None, folder: Path = zoo.FOLDER
    ) -> None:
        super().__init__(model, classifier(model, folder), layer, unit, readout, folder)
        self.natural_source = f"{TESTED[model]} test series"


def make_series(model: str, detail: str) -> SeriesUnit:
    """From ``"LAYER/UNIT"`` or ``"LAYER/UNIT@READOUT"``.

    Raises:
        UnknownName: no such layer, class or read-out.
        InputError: a unit out of range.
    """
    layer, unit, readout = parse_place(detail, {OUTPUT: CLASSES.get(model, ())}, default="")
    return SeriesUnit(model, layer, unit, readout or None)


def evaluated(model: str, network: nn.Module) -> Classifier:
    """A network of this kind, evaluated as the zoo's is."""
    return Classifier(network, stimulus_shape=(1, LENGTHS[model]), classes=CLASSES.get(model, ()))


@cache
def classifier(model: str, folder: Path = zoo.FOLDER) -> Classifier:
    """The zoo's network."""
    return evaluated(model, zoo.load(model, folder))
