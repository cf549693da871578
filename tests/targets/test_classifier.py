"""Targets of any network without time: against a direct pass, only as deep as needed, and what they refuse."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mango import Preprocess
from mango.errors import InputError, MangoError, OptionError, TargetError, UnknownName
from mango.networks.resnet import ResNet18
from mango.networks.vit import ViT
from mango.targets import make_target
from mango.targets.classifier import Classifier, ClassifierTarget
from mango.testing import check_target

CLASSES = ("ant", "bee", "cat")
PREPROCESS = Preprocess(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
STIMULI = np.random.default_rng(0).random((5, 3, 32, 32), np.float32)


def resnet() -> Classifier:
    torch.manual_seed(0)
    return Classifier(ResNet18(width=4, classes=3), preprocess=PREPROCESS, classes=CLASSES)


def vit() -> Classifier:
    torch.manual_seed(0)
    return Classifier(ViT(features=8, depth=2, heads=2, classes=3), preprocess=PREPROCESS, classes=CLASSES, tokens=True)


def layer_of(classifier: Classifier, layer: str) -> np.ndarray[Any, Any]:
    """What the layer gives when the network is shown the normalised stimuli as they are."""
    found: list[Tensor] = []
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (PREPROCESS.mean, PREPROCESS.std))
    handle = classifier.network.get_submodule(layer).register_forward_hook(lambda _m, _i, y: found.append(y))
    with torch.no_grad():
        classifier.network((torch.from_numpy(STIMULI) - mean) / std)
    handle.remove()
    return found[0].double().numpy()


def test_values_are_those_of_a_direct_pass() -> None:
    network = resnet()
    logits, features = layer_of(network, "output"), layer_of(network, "layer3")
    odds = np.exp(logits)
    expected = {
        ("output", "bee", "logit"): logits[:, 1],
        ("output", 2, "probability"): odds[:, 2] / odds.sum(1),
        ("layer3", 5, "mean"): features[:, 5].mean((1, 2)),
        ("layer3", 5, "max"): features[:, 5].max((1, 2)),
        ("layer3", (5, 3, 4), "mean"): features[:, 5, 3, 4],
        ("layer3", (None, 3, 4), "mean"): features[:, :, 3, 4].mean(1),
        ("layer3", (), "mean"): features.mean((1, 2, 3)),
        ("layer3.1.conv1", 2, "mean"): layer_of(network, "layer3.1.conv1")[:, 2].mean((1, 2)),
    }
    for (layer, unit, readout), values in expected.items():
        found = ClassifierTarget(network, layer, unit, readout).respond(STIMULI)
        np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-6, err_msg=f"{layer}/{unit}@{readout}")


def test_features_of_tokens() -> None:
    network = vit()
    tokens = layer_of(network, "blocks.1")  # (n, tokens, features)
    assert network.layers["blocks.1"] == (8, 64)
    for unit, values in (
        (3, tokens[:, :, 3].mean(1)),
        ((3, 17), tokens[:, 17, 3]),
        ((None, 17), tokens[:, 17].mean(1)),
    ):
        np.testing.assert_allclose(ClassifierTarget(network, "blocks.1", unit).respond(STIMULI), values, atol=1e-6)
    assert network.layers["patches"] == (8, 8, 8)  # a convolution: channels, rows, columns


def test_only_what_the_layer_needs_is_computed() -> None:
    network = resnet()
    ran: list[str] = []
    for name, module in network.network.named_modules():
        module.register_forward_hook(lambda _m, _i, _y, name=name: ran.append(name))
    network.read(STIMULI, "layer1.0")
    assert not [name for name in ran if name.startswith(("layer1.1", "layer2", "output"))]


def test_layers_may_be_read_by_several_threads_at_once() -> None:
    network = resnet()
    layers = ["stem", "layer2", "output"] * 8
    alone = {layer: network.read(STIMULI, layer) for layer in layers}
    with ThreadPoolExecutor(3) as pool:
        for layer, found in zip(layers, pool.map(lambda layer: network.read(STIMULI, layer), layers), strict=True):
            np.testing.assert_array_equal(found, alone[layer])


def test_it_can_be_sent_to_another_process() -> None:
    target = ClassifierTarget(resnet(), "layer2", 3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(target)).respond(STIMULI), target.respond(STIMULI))


def test_units_of_the_record() -> None:
    network = resnet()
    for layer, readout in (("layer4", "max"), ("output", "probability")):
        target = ClassifierTarget(network, layer, 1, readout)
        record = target.record(STIMULI)
        assert record.shape == (5, network.layers[layer][0])
        np.testing.assert_array_equal(record[:, 1], target.respond(STIMULI))
        np.testing.assert_array_equal(target.record(STIMULI, [2, 1])[:, 1], record[:, 1])


def test_training_state_of_the_given_network_has_no_say() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.LazyLinear(2))
    network(torch.rand(4, 3, 32, 32))
    target = ClassifierTarget(Classifier(network.train()), unit=0)
    np.testing.assert_array_equal(target.respond(STIMULI), target.respond(STIMULI))


@pytest.mark.parametrize("place", [("output", 1, "logit"), ("output", 1, "probability"), ("layer2", 3, "max")])
def test_conformance_of_a_convolutional_network(place: tuple[str, int, str]) -> None:
    check_target(ClassifierTarget(resnet(), *place), (3, 32, 32))


def test_conformance_of_a_transformer() -> None:
    check_target(ClassifierTarget(vit(), "blocks.0", (3, 5)), (3, 32, 32))


def test_series_may_leave_the_unit_interval() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(1, 3, 3), nn.Flatten(), nn.Linear(3 * 18, 2))
    target = ClassifierTarget(Classifier(network, stimulus_shape=(1, 20)), "0", (2, 4))
    series = np.random.default_rng(0).normal(0, 5, (4, 1, 20)).astype(np.float32)
    with torch.no_grad():
        expected = network[0](torch.from_numpy(series)).numpy()[:, 2, 4]
    np.testing.assert_allclose(target.respond(series), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("place", "kind", "says"),
    [
        (("layer5", 1), UnknownName, "layer4"),
        (("output", "cut"), UnknownName, "cat"),
        (("layer2", "cat"), UnknownName, "0 to 7"),
        (("output", 3), InputError, "0 to 2"),
        (("output", ()), InputError, "0 to 2"),
        (("output", (None,)), InputError, "0 to 2"),
        (("layer2", 8), InputError, "0 to 7"),
        (("layer2", (1, 16, 0)), InputError, "row 16 is out of range; expected 0 to 15"),
        (("layer2", 1, "logit"), UnknownName, "mean"),
        (("output", 1, "mean"), UnknownName, "logit"),
    ],
)
def test_what_is_refused(place: tuple[Any, ...], kind: type[MangoError], says: str) -> None:
    with pytest.raises(kind, match=says):
        ClassifierTarget(resnet(), *place)


def test_stimuli_that_are_refused() -> None:
    target = ClassifierTarget(resnet(), "stem", 0)
    for stimuli, says in ((STIMULI[:, :1], "shape"), (STIMULI + 1, r"\[0, 1\]"), (STIMULI * np.nan, "NaN")):
        with pytest.raises(TargetError, match=says):
            target.respond(stimuli)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.same, self.never, self.output = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.same(self.same(x)))  # type: ignore[no-any-return]


def test_a_layer_that_answers_twice_or_never_is_none() -> None:
    assert Classifier(Twice(), stimulus_shape=(4,)).layers == {"output": (3,)}


def test_networks_that_are_refused() -> None:
    with pytest.raises(InputError, match=r"stimuli \(n, 3, 8, 8\)"):
        Classifier(nn.Linear(4, 3), stimulus_shape=(3, 8, 8))
    with pytest.raises(InputError, match=r"\(2, 3, 8, 8\)"):
        Classifier(nn.ReLU(), stimulus_shape=(3, 8, 8))
    with pytest.raises(OptionError, match="expected 3 names"):
        Classifier(Twice(), stimulus_shape=(4,), classes=("a", "b"))


def factory() -> Classifier:
    return Classifier(Twice(), stimulus_shape=(4,), classes=CLASSES)


def test_a_user_s_network_is_named_as_an_object_or_by_its_factory() -> None:
    vectors = np.random.default_rng(0).random((3, 4), np.float32)
    direct = make_target(factory(), unit="cat", readout="probability")
    assert isinstance(direct, ClassifierTarget)
    check_target(direct, (4,))
    torch.manual_seed(0)
    named = make_target(f"{__name__}:factory:output/cat")
    assert named.name == f"{__name__}:factory:output/cat@logit"  # type: ignore[attr-defined]
    assert make_target(named.name).respond(vectors) == pytest.approx(named.respond(vectors))  # type: ignore[attr-defined]
    with pytest.raises(OptionError, match="a Classifier has its options already; got steps"):
        make_target(factory(), steps=3)
    with pytest.raises(UnknownName, match="did you mean cat"):
        make_target(f"{__name__}:factory:output/cut")
    with pytest.raises(InputError, match=r"Name a unit of the network: .*:LAYER/UNIT, with a layer of output"):
        make_target(f"{__name__}:factory")
