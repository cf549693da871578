"""Units of a classifier of the zoo, which keeps what natural stimuli do to them."""

from __future__ import annotations

from pathlib import Path

from mango import zoo
from mango.targets import SUMMARY
from mango.targets.classifier import Classifier, ClassifierTarget
from mango.targets.places import Unit

READOUTS = ("mean", "logit")  # whose natural responses the zoo keeps, of hidden layers and of the output


class RecordedUnit(ClassifierTarget):
    """A unit of one of the zoo's classifiers.

    Args:
        model: its name in the zoo.
        classifier: the network, to be shown the stimuli.
        layer, unit, readout: see `ClassifierTarget`.
        folder: where the zoo's files are.
    """

    def __init__(
        self,
        model: str,
        classifier: Classifier,
        layer: str,
        unit: Unit | str,
        readout: str | None = None,
        folder: Path = zoo.FOLDER,
    ) -> None:
        super().__init__(classifier, layer, unit, readout)
        self.name = f"{model}:{self.name}"
        self._model, self._folder = model, folder

    @property
    def summary(self) -> dict[str, float]:
        """What natural test stimuli do to the unit: maximum, 99.9th percentile, median, share of zero responses.

        Empty where the zoo keeps none: for layers inside a block, several units at once, and other read-outs.

        Raises:
            WeightsError: the zoo's file is missing, damaged, or not the one of its card.
        """
        kind = "channel" if len(self.unit) == 1 else "place"
        table = zoo.nature(self._model, self._folder).get(f"{self.layer}.{kind}")
        if table is None or self.readout not in READOUTS or None in self.unit or table.ndim != len(self.unit) + 1:
            return {}
        return {name: float(column[self.unit]) for name, column in zip(SUMMARY, table, strict=True)}
