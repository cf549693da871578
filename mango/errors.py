"""Every error that mango raises on purpose.

::

    MangoError
    |-- InputError (ValueError)        what a caller gave cannot be used
    |   |-- UnknownName                no such optimizer, generator, target, layer, class, chart
    |   |-- CodeError                  a code of the wrong shape, dtype or range
    |   |-- OptionError                an option is missing, unknown or out of range
    |   `-- TellError                  an answer that does not fit its trial
    |       `-- TellConflict           another answer than the same attempt told before
    |-- StudyError                     what was asked does not fit the state of the study
    |   |-- StudyExists                the folder or storage already holds a study of that name
    |   |-- StudyLocked                another process owns the study
    |   |-- StudyFinished              ask on a study that has ended
    |   `-- KeyConflict                another request under an idempotency key that was used
    |-- StorageError                   the database cannot be read or written; nothing was half-written
    |   `-- ReplayError                a resumed study did not repeat its recorded proposals
    |-- ServiceError                   a service elsewhere cannot be reached, or does not let this client in
    |-- WeightsError                   weights are missing, damaged, or not those of the card
    |-- DataError                      data are missing or cannot be read
    `-- TargetError                    the target raised, or answered with the wrong shape

The command line prints the message and exits with code 2; nothing that was stored has changed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MangoError(Exception):
    """Root of the tree."""


class InputError(MangoError, ValueError):
    """What a caller gave cannot be used."""


class UnknownName(InputError):
    """No such name; the message suggests the nearest.

    Args:
        kind: what the name should have named, such as ``"optimizer"``.
        name: what came.
        known: every name that exists.
        hint: one more sentence, such as a valid range.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        advice = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}."
        super().__init__(f"unknown {kind} {name!r}; {advice}{' ' + hint if hint else ''}")


class CodeError(InputError):
    """A code of the wrong shape, dtype or range."""


class OptionError(InputError):
    """An option is missing, unknown or out of range."""


class TellError(InputError):
    """An answer that does not fit its trial."""


class TellConflict(TellError):
    """Another answer than the same attempt told before."""


class StudyError(MangoError):
    """What was asked does not fit the state of the study."""


class StudyExists(StudyError):
    """The folder or storage already holds a study of that name."""


class StudyLocked(StudyError):
    """Another process owns the study."""


class StudyFinished(StudyError):
    """The study has ended; no more proposals."""


class KeyConflict(StudyError):
    """Another request under an idempotency key that was used."""


class StorageError(MangoError):
    """The database cannot be read or written; nothing was half-written."""


class ReplayError(StorageError):
    """A resumed study did not repeat its recorded proposals."""


class ServiceError(MangoError):
    """A service elsewhere cannot be reached, or does not let this client in."""


class WeightsError(MangoError):
    """Weights are missing, damaged, or not those of the card."""


class DataError(MangoError):
    """Data are missing or cannot be read."""


class TargetError(MangoError):
    """The target raised, or answered with the wrong shape."""
