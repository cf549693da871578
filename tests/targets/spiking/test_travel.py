"""A network's target goes to Ray workers as an object and answers there as it does here."""

from __future__ import annotations

import pytest
import snntorch
import torch
from torch import nn

from mango.evaluators import LocalEvaluator, RayEvaluator
from mango.targets import make_target
from tests.evaluators.subjects import DIM, Plain, answer_all, trials


@pytest.mark.slow
def test_values_in_a_worker_are_the_values_here() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(DIM, 40),
        snntorch.Leaky(beta=0.9, init_hidden=True),
        nn.Linear(40, 4),
        snntorch.Leaky(beta=0.8, init_hidden=True, output=True),
    )
    target = make_target(network, unit=2, readout="current", steps=10, stimulus_shape=(DIM,))
    with LocalEvaluator(Plain(), target) as here, RayEvaluator(Plain(), target, workers=1) as there:
        mine, theirs = (answer_all(evaluator, trials(20))[0] for evaluator in (here, there))
    assert [result.values for result in theirs] == [result.values for result in mine]
    assert len({result.values for result in mine}) > 1
