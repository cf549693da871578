"""mango finds, without gradients, the stimulus that a black box likes best.

::

    from mango import LocalEvaluator, Study, make_generator, make_target, run

    generator, target = make_generator("identity:box:20"), make_target("sphere")
    study = Study(generator, budget=2000)
    run(study, LocalEvaluator(generator, target))
    print(study.best())

The names below load what they need when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mango.errors import (
        CodeError,
        DataError,
        InputError,
        MangoError,
        OptionError,
        ReplayError,
        ServiceError,
        StorageError,
        StudyError,
        StudyExists,
        StudyFinished,
        StudyLocked,
        TargetError,
        TellError,
        UnknownName,
        WeightsError,
    )
    from mango.evaluators import LocalEvaluator, RayEvaluator
    from mango.generators import make_generator
    from mango.optimizers import make_optimizer
    from mango.running import run
    from mango.service.client import Client
    from mango.space import SearchSpace
    from mango.study import Study, verify
    from mango.targets import make_target
    from mango.targets.classifier import Classifier
    from mango.targets.preprocess import Preprocess
    from mango.targets.spiking import SpikingNetwork
    from mango.trial import Result, Trial, TrialRecord, TrialState

    __version__: str

__all__ = [
    "Classifier",
    "Client",
    "CodeError",
    "DataError",
    "InputError",
    "LocalEvaluator",
    "MangoError",
    "OptionError",
    "Preprocess",
    "RayEvaluator",
    "ReplayError",
    "Result",
    "SearchSpace",
    "ServiceError",
    "SpikingNetwork",
    "StorageError",
    "Study",
    "StudyError",
    "StudyExists",
    "StudyFinished",
    "StudyLocked",
    "TargetError",
    "TellError",
    "Trial",
    "TrialRecord",
    "TrialState",
    "UnknownName",
    "WeightsError",
    "__version__",
    "make_generator",
    "make_optimizer",
    "make_target",
    "run",
    "verify",
]

_MODULES = {
    "Classifier": "targets.classifier",
    "Client": "service.client",
    "CodeError": "errors",
    "DataError": "errors",
    "InputError": "errors",
    "LocalEvaluator": "evaluators",
    "MangoError": "errors",
    "OptionError": "errors",
    "Preprocess": "targets.preprocess",
    "RayEvaluator": "evaluators",
    "ReplayError": "errors",
    "Result": "trial",
    "SearchSpace": "space",
    "ServiceError": "errors",
    "SpikingNetwork": "targets.spiking",
    "StorageError": "errors",
    "Study": "study",
    "StudyError": "errors",
    "StudyExists": "errors",
    "StudyFinished": "errors",
    "StudyLocked": "errors",
    "TargetError": "errors",
    "TellError": "errors",
    "Trial": "trial",
    "TrialRecord": "trial",
    "TrialState": "trial",
    "UnknownName": "errors",
    "WeightsError": "errors",
    "make_generator": "generators",
    "make_optimizer": "optimizers",
    "make_target": "targets",
    "run": "running",
    "verify": "study",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mango-neuro")
    if name not in _MODULES:
        raise AttributeError(f"module 'mango' has no attribute {name!r}")
    return getattr(import_module(f"mango.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
