"""The pixels of a small colour image as continuous axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mango.space import Codes, SearchSpace

SHAPE = (3, 32, 32)


class Pixels:
    """Codes are ``(n, 3072)`` in [0, 1], in the order of the image's array; stimuli are rounded to 1/255."""

    space = SearchSpace.box(int(np.prod(SHAPE)), 0.0, 1.0)
    stimulus_shape = SHAPE

    def decode(self, codes: Codes) -> NDArray[np.float32]:
        """Images ``(n, 3, 32, 32)``."""
        return to_stimuli(self.space.validate(codes).reshape(-1, *SHAPE))

    def encode(self, stimuli: NDArray[np.float32]) -> Codes:
        """Codes ``(n, 3072)`` of images ``(n, 3, 32, 32)`` in [0, 1]."""
        return self.space.validate(np.asarray(stimuli).reshape(len(stimuli), -1))


def to_stimuli(images: NDArray[np.floating]) -> NDArray[np.float32]:
    """Images as they can be stored in a PNG: in [0, 1], rounded to whole multiples of 1/255."""
    levels: NDArray[np.float32] = np.rint(np.minimum(np.maximum(images, 0), 1) * 255).astype(np.float32)
    return levels / np.float32(255)
