"""Encoders alone, and through a whole target, a study, and other numbers of workers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import snntorch
import torch
from torch import nn

from mango.errors import InputError, UnknownName
from mango.evaluators import LocalEvaluator, RayEvaluator
from mango.running import run
from mango.study import Study
from mango.targets import make_target
from mango.targets.preprocess import Preprocess
from mango.targets.spiking import SpikingNetwork, SpikingTarget, encoders
from mango.testing import check_target
from tests.studies import content
from tests.targets.spiking.examples import SHAPE, Deciding, Intensities, Looping, convolutional, leaky, stimuli

STEPS = 20
IMAGES = torch.from_numpy(stimuli(6))
SEEDS = np.array([5, 0, 2**32 - 1, 5, 7, 8])


def test_direct_shows_the_stimulus_at_every_step() -> None:
    assert torch.equal(encoders.direct(IMAGES, STEPS, None), IMAGES[None])


def test_rate_spikes_with_the_intensity_as_probability() -> None:
    grey = torch.linspace(0, 1, 5).repeat(4, 1)
    spikes = encoders.rate(grey, 2000, np.arange(4))
    assert spikes.shape == (2000, 4, 5)
    assert spikes.dtype == torch.float32
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert not spikes[..., 0].any()
    assert spikes[..., 4].all()
    assert spikes.mean(0) == pytest.approx(grey, abs=0.06)  # five standard errors


def test_rate_spikes_come_from_the_stimulus_and_its_seed_alone() -> None:
    together = encoders.rate(IMAGES, STEPS, SEEDS)
    for row in range(len(IMAGES)):
        assert torch.equal(encoders.rate(IMAGES[[row]], STEPS, SEEDS[[row]])[:, 0], together[:, row])
    one, other = (encoders.rate(IMAGES[:1], STEPS, np.array([seed])) for seed in (5, 6))
    assert not torch.equal(one, other)


def test_steps_and_pixels_are_independent() -> None:
    spikes = encoders.rate(torch.full((1, 50), 0.5), 400, np.array([3]))[:, 0]
    between = np.corrcoef(spikes.T)
    in_time = [np.corrcoef(spikes[:-1, i], spikes[1:, i])[0, 1] for i in range(50)]
    assert np.abs(between[~np.eye(50, dtype=bool)]).max() < 0.3  # 6 standard errors
    assert np.abs(in_time).max() < 0.3


@pytest.mark.parametrize("seeds", [None, [1, 2], np.zeros(6), [[1] * 6], [-1, 0, 0, 0, 0, 0], np.arange(6) > 2])
def test_seeds_are_one_whole_number_for_each_stimulus(seeds: object) -> None:
    with pytest.raises(InputError, match="seeds"):
        encoders.rate(IMAGES, STEPS, seeds)  # type: ignore[arg-type]


@pytest.mark.parametrize(("intensity", "step"), [(1.0, 1), (0.5, 3), (0.25, 4), (1e-6, 5), (0.0, None)])
def test_latency_spikes_once_the_brighter_the_earlier(intensity: float, step: int | None) -> None:
    spikes = encoders.latency(torch.full((1, 1), intensity), 5, None)[:, 0, 0]
    assert spikes.tolist() == [float(t == step) for t in range(1, 6)]


@pytest.mark.parametrize("name", ["rate", "latency"])
@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_only_intensities_can_be_encoded(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"in .0, 1.; got .*{value}"):
        encoders.TABLE[name](torch.tensor([[0.5, value]]), 3, np.zeros(1, int))


def test_normalised_images_are_refused_at_once() -> None:
    with pytest.raises(InputError, match="leave mean and std out of preprocess"):
        SpikingNetwork(
            convolutional(),
            steps=STEPS,
            stimulus_shape=SHAPE,
            preprocess=Preprocess(mean=(0.5, 0.5), std=(0.2, 0.2)),
            encoder="latency",
        )


def test_resized_images_stay_intensities() -> None:
    resized = SpikingNetwork(
        convolutional(), steps=STEPS, stimulus_shape=(2, 37, 23), preprocess=Preprocess(SHAPE[1:]), encoder="latency"
    )
    assert resized.read(np.ones((1, 2, 37, 23), np.float32), "7", (), "current").shape == (1, 5)


def test_a_name_that_is_none() -> None:
    with pytest.raises(UnknownName, match="latency"):
        SpikingNetwork(convolutional(), steps=STEPS, stimulus_shape=SHAPE, encoder="latent")


@cache
def network(encoder: str, kind: str = "traced") -> SpikingNetwork:
    if kind == "traced":
        return SpikingNetwork(convolutional(), steps=STEPS, stimulus_shape=SHAPE, encoder=encoder)
    with pytest.warns(RuntimeWarning, match="own loop"):
        return SpikingNetwork(Deciding(), steps=STEPS, stimulus_shape=SHAPE, encoder=encoder)


@pytest.mark.parametrize("encoder", encoders.TABLE)
def test_all_steps_at_once_are_as_the_own_loop(encoder: str) -> None:
    images = stimuli(7, seed=3)
    for layer in ("2", "4", "7"):
        for readout in ("rate", "current", "latency"):
            fast = network(encoder).read(images, layer, (), readout, np.arange(7))
            slow = network(encoder, "own loop").read(images, f"inner.{layer}", (), readout, np.arange(7))
            assert fast.std() > 0
            assert np.array_equal(fast, slow)


@pytest.mark.parametrize("encoder", encoders.TABLE)
@pytest.mark.parametrize("kind", ["traced", "own loop"])
def test_conformance(encoder: str, kind: str) -> None:
    layer = "4" if kind == "traced" else "inner.4"
    check_target(SpikingTarget(network(encoder, kind), layer, 3, "current"), SHAPE, tolerance=0)


def test_noise_is_the_seed_s() -> None:
    target = SpikingTarget(network("rate"), "4", 3, "current")
    assert target.stochastic
    assert not SpikingTarget(network("latency")).stochastic
    same = np.repeat(stimuli(1), 3, 0)
    first, second, third = target.respond(same, np.array([1, 1, 2]))
    assert first == second != third
    for refused in (target.respond, target.record):
        with pytest.raises(InputError, match=r"pass seeds \(n,\)"):
            refused(same)
    with pytest.raises(InputError, match="seeds"):
        target.respond(same, np.array([1]))


@pytest.mark.parametrize("encoder", ["rate", "latency"])
def test_a_network_that_makes_its_steps_itself_sees_one_image(encoder: str) -> None:
    with pytest.raises(InputError, match=r"Looping makes its time steps itself .* once a step"):
        SpikingNetwork(Looping(STEPS), steps=STEPS, stimulus_shape=(20,), encoder=encoder)


def test_features_are_encoded_too() -> None:
    features = SpikingNetwork(
        nn.Sequential(nn.Linear(6, 16), leaky()), steps=STEPS, stimulus_shape=(6,), encoder="rate"
    )
    check_target(SpikingTarget(features, readout="current"), (6,), tolerance=0)


def noisy() -> SpikingTarget:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(6, 32), leaky(), nn.Linear(32, 3), snntorch.Leaky(beta=0.8, init_hidden=True))
    target = make_target(network, unit=1, readout="current", steps=9, stimulus_shape=(6,), encoder="rate")
    assert isinstance(target, SpikingTarget)
    return target


def answered(evaluator: LocalEvaluator | RayEvaluator, repeats: int) -> list[tuple[object, ...]]:
    with Study(Intensities(), budget=48, batch=8, optimizer="random", repeats=repeats, seed=2) as study, evaluator:
        run(study, evaluator)
        records = study.trials()
        assert all(len(set(record.values)) == repeats for record in records)  # every showing has noise of its own
        return content(study)


def test_the_noise_of_a_trial_does_not_depend_on_its_chunk() -> None:
    expected = answered(LocalEvaluator(Intensities(), noisy(), chunk=8), repeats=3)
    assert answered(LocalEvaluator(Intensities(), noisy(), chunk=3), repeats=3) == expected


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_any_number_of_workers_gives_the_same_noise() -> None:
    expected = answered(LocalEvaluator(Intensities(), noisy()), repeats=2)
    for workers in (1, 2):
        assert answered(RayEvaluator(Intensities(), noisy(), workers=workers), repeats=2) == expected
