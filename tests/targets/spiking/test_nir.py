"""NIR files: read back, they are the network that was written, and what they cannot be is told."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from numpy.typing import NDArray
from torch import nn

from mango.errors import DataError, InputError, OptionError
from mango.targets.spiking import SpikingNetwork, SpikingTarget
from mango.targets.spiking.nir import DT, read_nir
from tests.optional import optional
from tests.targets.spiking import reference

nir: Any = optional("nir")

SHAPE = (2, 8, 8)
STEPS = 9
RNG = np.random.default_rng(0)
CONV = RNG.normal(0, 0.5, (4, 2, 3, 3)).astype(np.float32)
BIAS = RNG.normal(0, 0.1, 4).astype(np.float32)
DENSE = RNG.normal(0, 0.7, (5, 36)).astype(np.float32)
LAST = RNG.normal(0, 0.7, (3, 5)).astype(np.float32)


def full(value: float, *shape: int) -> NDArray[np.float32]:
    return np.full(shape, value, np.float32)


def convolution(**changed: Any) -> Any:
    given = {"input_shape": (8, 8), "weight": CONV, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": BIAS}
    return nir.Conv2d(**{**given, **changed})


def lif(*shape: int, tau: float = 1e-3, r: float = 10.0, threshold: float = 0.5, **changed: float) -> Any:
    given = {"v_leak": 0.0, "v_reset": 0.0, **changed}
    parameters = {"tau": tau, "r": r, "v_threshold": threshold, **given}
    return nir.LIF(**{name: full(value, *shape) for name, value in parameters.items()})


def chain(*nodes: Any, shape: tuple[int, ...] = SHAPE) -> Any:
    """Nodes named n0, n1, ... in a row."""
    names = ["input", *(f"n{i}" for i in range(len(nodes))), "output"]
    ends = nir.Input({"input": np.array(shape)}), nir.Output({"output": np.array([1])})
    every = dict(zip(names, (ends[0], *nodes, ends[1]), strict=True))
    return nir.NIRGraph(every, list(pairwise(names)), type_check=False)


def written(path: Path, graph: Any) -> Path:
    nir.write(str(path / "model.nir"), graph)
    return path / "model.nir"


def loaded(path: Path, *nodes: Any, **options: Any) -> SpikingNetwork:
    return SpikingNetwork.from_nir(written(path, chain(*nodes)), steps=STEPS, **options)


def images(n: int = 5) -> NDArray[np.float32]:
    return reference.pictures("noise", n, SHAPE)


def test_it_is_the_network_of_snntorch_that_was_written(tmp_path: Path) -> None:
    options = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}
    own = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        snntorch.Leaky(beta=0.9, threshold=0.5, **options),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(36, 5, bias=False),
        snntorch.Synaptic(alpha=0.8, beta=0.7, threshold=0.6, **options),
        nn.Linear(5, 3, bias=False),
        snntorch.Leaky(beta=0.75, threshold=0.2, **options),
    )
    for place, weight in ((0, CONV), (4, DENSE), (6, LAST)):
        own[place].weight.data = torch.from_numpy(weight)  # type: ignore[union-attr]
    own[0].bias.data = torch.from_numpy(BIAS)  # type: ignore[union-attr]

    def leaky(module: Any, *shape: int) -> Any:  # as snnTorch's exporter writes them
        tau = DT / (1 - module.beta.numpy())
        return lif(*shape, tau=tau, r=tau / DT, threshold=float(module.threshold))

    synaptic: Any = own[5]
    slow, fast = (DT / (1 - value.numpy()) for value in (synaptic.beta, synaptic.alpha))
    cuba = nir.CubaLIF(
        tau_syn=full(fast, 5),
        tau_mem=full(slow, 5),
        r=full(slow / DT, 5),
        v_leak=full(0, 5),
        v_threshold=full(0.6, 5),
        w_in=full(fast / DT, 5),
    )
    found = loaded(
        tmp_path,
        convolution(),
        leaky(own[1], 4, 6, 6),
        nir.AvgPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0])),
        nir.Flatten({"input": np.array([4, 3, 3])}, 0, -1),
        nir.Linear(DENSE),
        cuba,
        nir.Linear(LAST),
        leaky(own[7], 3),
    )
    assert found.stimulus_shape == SHAPE
    assert found.layers == {"n1": (4, 6, 6), "n5": (5,), "n7": (3,)}
    assert not any(name.endswith("_input") for name, _ in found._network.named_modules())  # nothing is scaled
    assert found.check is not None
    trains = reference.own(own, images(), STEPS, reference.step_by_step, (snntorch.Leaky, snntorch.Synaptic))
    for name, place in (("n1", "1"), ("n5", "5"), ("n7", "7")):
        currents, spikes = reference.of_mango(found, images(), name)
        assert torch.equal(spikes, trains[place][1])
        assert 0 < spikes.mean() < 1
        torch.testing.assert_close(currents, trains[place][0])


def test_every_equation_of_nir_in_steps_of_dt(tmp_path: Path) -> None:
    """The continuous equations, by explicit Euler in numpy, with a rest and a reset that are not 0."""
    dt, tau = 2e-4, 1e-3
    found = loaded(
        tmp_path,
        nir.Flatten({"input": np.array(SHAPE)}, 0, -1),
        nir.Linear(RNG.normal(0, 0.3, (6, 128)).astype(np.float32)),
        nir.Scale(full(1.5, 6)),
        lif(6, tau=tau, r=4.0, threshold=0.4, v_leak=-0.1, v_reset=-0.2),
        nir.Linear(RNG.normal(0, 0.7, (5, 6)).astype(np.float32)),
        nir.IF(r=full(2000, 5), v_threshold=full(1, 5), v_reset=full(0.1, 5)),
        nir.Linear(LAST),
        nir.LI(tau=full(tau, 3), r=full(2, 3), v_leak=full(0.3, 3)),
        dt=dt,
    )
    assert list(found.layers) == ["n3", "n5", "n7"]
    first, second, third = (found._network.get_submodule(name).weight.numpy() for name in ("n1", "n4", "n6"))
    v1, v2, v3 = np.full((5, 6), -0.1), np.zeros((5, 5)), np.full((5, 3), 0.3)
    rates, potentials = np.zeros((5, 5)), []
    for _ in range(STEPS):
        v1 = v1 + dt / tau * (-0.1 - v1 + 4 * 1.5 * images().reshape(5, -1) @ first.T)
        z1 = v1 > 0.4
        v1[z1] = -0.2
        v2 = v2 + dt * 2000 * z1 @ second.T
        z2 = v2 > 1
        v2[z2] = 0.1
        v3 = v3 + dt / tau * (0.3 - v3 + 2 * z2 @ third.T)
        rates += z2 / STEPS
        potentials.append(v3)
    assert 0 < rates.mean() < 1
    assert found.read(images(), "n5", (), "rate") == pytest.approx(rates)
    assert found.read(images(), "n7", (), "membrane") == pytest.approx(np.mean(potentials, 0), rel=1e-4, abs=1e-5)
    with pytest.raises(InputError, match="n7 gives its potential"):
        SpikingTarget(found)


def test_parameters_of_channels_and_of_neurons(tmp_path: Path) -> None:
    by_channel = np.broadcast_to(np.array([0.2, 0.4, 0.6, 0.8], np.float32)[:, None, None], (4, 6, 6)).copy()
    by_neuron = RNG.uniform(0.2, 1, (4, 6, 6)).astype(np.float32)
    for threshold in (by_channel, by_neuron, by_channel[:, 0, 0]):
        shape = threshold.shape
        node = nir.LIF(full(1e-3, *shape), full(10, *shape), full(0, *shape), threshold, full(0, *shape))
        found = loaded(tmp_path, convolution(), node)
        assert found.check is not None
        with torch.no_grad():
            current = nn.functional.conv2d(torch.from_numpy(images()), torch.from_numpy(CONV), torch.from_numpy(BIAS))
        v, count, limit = (
            np.zeros((5, 4, 6, 6)),
            0,
            np.broadcast_to(threshold.reshape(4, *shape[1:] or (1, 1)), (4, 6, 6)),
        )
        for _ in range(STEPS):
            v = 0.9 * v + current.numpy()
            count = count + (v > limit)
            v[v > limit] = 0
        assert found.read(images(), "n1", (), "count") == pytest.approx(count)
        assert found._neurons["n1"].alike is False


def test_branches_are_added_and_sums_pooled(tmp_path: Path) -> None:
    pool = nir.SumPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0]))
    nodes = {
        "input": nir.Input({"input": np.array(SHAPE)}),
        "a.conv": convolution(padding="same"),
        "b.conv": convolution(weight=CONV[:, :, :1, :1], groups=1),
        "forward": pool,
        "on": nir.Threshold(full(0.1, 4)),
        "lif": lif(4, 4, 4),
        "output": nir.Output({"output": np.array([1])}),
    }
    edges = [("input", "a.conv"), ("input", "b.conv"), ("a.conv", "on"), ("on", "forward"), ("b.conv", "forward")]
    graph = nir.NIRGraph(nodes, [*edges, ("forward", "lif"), ("lif", "output")], type_check=False)
    found = SpikingNetwork.from_nir(written(tmp_path, graph), steps=STEPS)
    with torch.no_grad():
        x, weight, bias = (torch.from_numpy(value) for value in (images(), CONV, BIAS))
        wide = (nn.functional.conv2d(x, weight, bias, padding="same") > 0.1).float()
        both = wide + nn.functional.conv2d(x, weight[:, :, :1, :1], bias)
        expected = 4 * nn.functional.avg_pool2d(both, 2)
    assert found.read(images(), "lif", (), "current") == pytest.approx(expected.numpy(), rel=1e-5, abs=1e-6)


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no NIR file .*none\.nir"):
        read_nir(tmp_path / "none.nir")
    (tmp_path / "text.nir").write_text("no graph")
    with pytest.raises(DataError, match=r"text\.nir cannot be read as a NIR file"):
        read_nir(tmp_path / "text.nir")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(OptionError, match=r"pip install 'mango-neuro\[nir\]'"):
        SpikingNetwork.from_nir(tmp_path / "model.nir", steps=STEPS)


def test_wrong_graphs_are_refused(tmp_path: Path) -> None:
    flat = nir.Flatten({"input": np.array(SHAPE)}, 0, -1)
    with pytest.raises(InputError, match="a node 'n1' of kind Delay; mango reads feed-forward graphs of Affine, "):
        read_nir(written(tmp_path, chain(flat, nir.Delay(full(1, 128)))))
    with pytest.raises(OptionError, match=r"not above the shortest time constant 5e-05 s; got 0\.0001"):
        read_nir(written(tmp_path, chain(flat, lif(128, tau=5e-5))))
    back = chain(
        flat, nir.Linear(RNG.normal(size=(4, 128)).astype(np.float32)), lif(4), nir.Linear(np.eye(4, dtype=np.float32))
    )
    back.edges.append(("n3", "n2"))
    with pytest.raises(InputError, match="the NIR graph is recurrent, along n"):
        read_nir(written(tmp_path, back))
    with pytest.raises(InputError, match="expected a network with spiking neurons"):
        loaded(tmp_path, flat, nir.Linear(RNG.normal(size=(4, 128)).astype(np.float32)))
