"""Units of any network without time, a classifier of images or series, as targets: ``LAYER/UNIT@READOUT``.

The network runs only as deep as the layer that is read. Layers have their names in ``named_modules()``; ``output`` is
what the network returns. The first number of a unit is a class, a channel or a feature, the others say where: row and
column, or the token.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn

from mango.errors import InputError, OptionError, UnknownName
from mango.targets.places import Unit, checked_index, slices
from mango.targets.preprocess import Preprocess, checked_stimuli

OUTPUT = "output"
READOUTS = {
    "logit": "a unit of the output",
    "probability": "softmax of the output",
    "mean": "mean over the places that the unit covers",
    "max": "maximum over the places that the unit covers",
}
OF_OUTPUT = ("logit", "probability")
OF_HIDDEN = ("mean", "max")
BATCH = 32  # stimuli through the network at once

_wanted = threading.local()  # the module whose answer this thread waits for


class Classifier:
    """A torch network that answers stimuli without time or randomness.

    Args:
        network: takes preprocessed stimuli ``(n, *stimulus_shape)``, gives ``(n, classes)``; it is put into eval mode.
        stimulus_shape: of one stimulus; images are in [0, 1].
        preprocess: of images, before the network.
        classes: names of the outputs.
        tokens: layers that give ``(n, a, b)`` give features of tokens, ``(n, tokens, features)``, not channels.
        device: where to run it.

    Attributes:
        layers: name -> shape of what it gives to one stimulus, channels or features first; of every module that gives
            one tensor, ``(n, ...)``, and does so once.

    Raises:
        InputError: the network cannot be shown such stimuli, or gives something else than ``(n, classes)``.
        OptionError: preprocess does not fit the stimuli; not a name for each class.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        stimulus_shape: Sequence[int] = (3, 32, 32),
        preprocess: Preprocess | None = None,
        classes: Sequence[str] = (),
        tokens: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        self.stimulus_shape = tuple(stimulus_shape)
        self.preprocess = preprocess or Preprocess()
        self.preprocess.check_shape(self.stimulus_shape)
        self.tokens, self.device = tokens, torch.device(device)
        self.network = network.to(self.device).eval().requires_grad_(False)
        self.layers = self._traced()
        self._modules = {name: network.get_submodule(name) for name in self.layers if name != OUTPUT}
        for module in self._modules.values():
            module.register_forward_hook(_stop_where_wanted)
        self.classes = tuple(classes)
        if self.classes and len(self.classes) != self.layers[OUTPUT][0]:
            raise OptionError(f"expected {self.layers[OUTPUT][0]} names of classes, or none; got {len(self.classes)}")

    def read(self, stimuli: NDArray[Any], layer: str) -> NDArray[np.float32]:
        """What a layer gives, ``(n, *layers[layer])``, channels or features first.

        Raises:
            UnknownName: no such layer.
            TargetError: stimuli of another shape, not finite, or images that leave [0, 1].
        """
        if layer not in self.layers:
            raise UnknownName("layer", layer, self.layers)
        given = checked_stimuli(stimuli, self.stimulus_shape)
        answers = [self._arranged(self._run(part, layer)).cpu().numpy() for part in torch.split(given, BATCH)]
        return np.concatenate(answers)

    @torch.no_grad()
    def _run(self, stimuli: Tensor, layer: str) -> Tensor:
        """The layer's answer to stimuli; nothing behind the layer is computed."""
        shown = self.preprocess(stimuli.to(self.device))
        _wanted.module = self._modules.get(layer)
        try:
            answer: Tensor = self.network(shown)
        except _Reached as reached:
            return reached.answer
        finally:
            _wanted.module = None
        return answer

    def _arranged(self, answer: Tensor) -> Tensor:
        return answer.transpose(1, 2) if self.tokens and answer.ndim == 3 else answer

    @torch.no_grad()
    def _traced(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all layers, from two stimuli shown to the network."""
        answers: dict[str, list[Any]] = {}
        handles = [
            module.register_forward_hook(lambda _m, _i, answer, name=name: answers.setdefault(name, []).append(answer))
            for name, module in self.network.named_modules()
            if name not in ("", OUTPUT)
        ]
        shown = self.preprocess(torch.zeros(2, *self.stimulus_shape, device=self.device))
        try:
            answer = self.network(shown)
        except (RuntimeError, ValueError, TypeError) as error:
            raise InputError(
                f"the network cannot be shown stimuli (n, {', '.join(map(str, self.stimulus_shape))}): {error}; say "
                "stimulus_shape and preprocess as it needs them"
            ) from error
        finally:
            for handle in handles:
                handle.remove()
        if not isinstance(answer, Tensor) or answer.ndim != 2 or len(answer) != 2:
            found = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise InputError(f"expected a network that gives (n, classes); two stimuli gave {found}")
        once = {name: given[0] for name, given in answers.items() if len(given) == 1}
        shapes = {
            name: tuple(self._arranged(given).shape[1:])
            for name, given in once.items()
            if isinstance(given, Tensor) and given.ndim > 1 and len(given) == 2
        }
        return {**shapes, OUTPUT: tuple(answer.shape[1:])}


class ClassifierTarget:
    """A read-out of one unit of a network, of one place of it, or of a whole layer.

    Args:
        classifier: to be shown the stimuli.
        layer: one of its layers; by default the output.
        unit: a class (by number or name), channel or feature; ``(channel, row, column)`` or ``(feature, token)`` for
            one place, None in place of a number for all of an axis, ``()`` for a whole hidden layer.
        readout: of the output ``"logit"`` or ``"probability"``, of other layers ``"mean"`` or ``"max"``; by default
            the first.

    Attributes:
        name: ``LAYER/UNIT@READOUT``.
        stimulus_shape: of one stimulus.
        batch_size: stimuli that are best shown together; a stimulus shown alone may differ in the last bits.

    Raises:
        UnknownName: no such layer, class or read-out.
        InputError: a unit out of range, the message says the range; no unit of the output.
    """

    batch_size = 10  # halves a search's 20 between two workers

    def __init__(
        self, classifier: Classifier, layer: str = OUTPUT, unit: Unit | str = (), readout: str | None = None
    ) -> None:
        if layer not in classifier.layers:
            raise UnknownName("layer", layer, classifier.layers)
        allowed = OF_OUTPUT if layer == OUTPUT else OF_HIDDEN
        readout = readout or allowed[0]
        if readout not in allowed:
            raise UnknownName(f"read-out of {layer}", readout, allowed)
        shape, classes = classifier.layers[layer], classifier.classes if layer == OUTPUT else ()
        if isinstance(unit, str):
            if unit not in classes:
                raise UnknownName(f"unit of {layer}", unit, classes, f"Or a number from 0 to {shape[0] - 1}.")
            unit = classes.index(unit)
        self.classifier, self.layer, self.readout = classifier, layer, readout
        self.unit = checked_index(layer, unit, shape)
        if layer == OUTPUT and (not self.unit or self.unit[0] is None):
            raise InputError(f"{layer}: expected a unit from 0 to {shape[0] - 1}")
        self.stimulus_shape = classifier.stimulus_shape
        place = ",".join("*" if i is None else str(i) for i in self.unit)
        if classes and self.unit[0] is not None:
            place = classes[self.unit[0]]
        self.name = f"{layer}{'/' if place else ''}{place}@{readout}"

    def respond(
        self,
        stimuli: NDArray[np.float32],
        seeds: NDArray[np.int64] | None = None,  # noqa: ARG002 - the answer has no noise
    ) -> NDArray[np.float64]:
        """Values ``(n,)``.

        Raises:
            TargetError: stimuli of another shape, not finite, or images that leave [0, 1].
        """
        return self._value(self._read(stimuli), self.unit)

    def record(
        self,
        stimuli: NDArray[np.float32],
        units: Sequence[Unit] | None = None,
        seeds: NDArray[np.int64] | None = None,  # noqa: ARG002 - the answer has no noise
    ) -> NDArray[np.float64]:
        """The read-out of many units of the layer in one evaluation, ``(n, units)``; by default of all of them.

        Raises:
            TargetError: stimuli of another shape, not finite, or images that leave [0, 1].
            InputError: a unit out of range.
        """
        shape = self.classifier.layers[self.layer]
        indices = [checked_index(self.layer, unit, shape) for unit in (range(shape[0]) if units is None else units)]
        if not indices:
            raise InputError("expected at least one unit to record; got none")
        answer = self._read(stimuli)
        return np.stack([self._value(answer, index) for index in indices], 1)

    @property
    def quantity(self) -> str:
        """What a value is, in words."""
        return READOUTS[self.readout]

    def _read(self, stimuli: NDArray[np.float32]) -> NDArray[np.float64]:
        answer = self.classifier.read(stimuli, self.layer).astype(np.float64)
        return softmax(answer, axis=1) if self.readout == "probability" else answer

    def _value(self, answer: NDArray[np.float64], index: tuple[int | None, ...]) -> NDArray[np.float64]:
        chosen = np.ascontiguousarray(answer[(slice(None), *slices(index))]).reshape(len(answer), -1)
        value: NDArray[np.float64] = chosen.max(1) if self.readout == "max" else chosen.mean(1)
        return value


class _Reached(Exception):
    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer


def _stop_where_wanted(module: nn.Module, _given: Any, answer: Any) -> None:
    if getattr(_wanted, "module", None) is module:
        raise _Reached(answer)
