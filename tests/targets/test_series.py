"""Units of the zoo's series classifiers: names, values against the network itself, what the zoo says of nature."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mango import zoo
from mango.errors import InputError, MangoError, TargetError, UnknownName
from mango.targets import make_target
from mango.testing import check_target

SERIES = np.random.default_rng(0).normal(size=(5, 1, 275)).astype(np.float32)


@pytest.mark.parametrize("name", ["series-trace:output/1", "series-trace:conv2/17@max", "series-trace:conv1/3,40"])
def test_conformance(name: str) -> None:
    check_target(make_target(name), (1, 275))


def test_values_are_the_networks_own() -> None:
    logits = zoo.load("series-trace")(torch.from_numpy(SERIES)).numpy()
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for unit in range(4):
        assert np.allclose(make_target(f"series-trace:output/{unit}").respond(SERIES), logits[:, unit], atol=1e-5)
        answer = make_target(f"series-trace:output/{unit}@probability").respond(SERIES)
        assert np.allclose(answer, shares[:, unit], atol=1e-5)


def test_a_hidden_channel_is_averaged_over_time() -> None:
    conv, relu = zoo.load("series-trace").get_submodule("conv1")
    channels = relu(conv(torch.from_numpy(SERIES))).numpy()
    assert np.allclose(make_target("series-trace:conv1/3").respond(SERIES), channels[:, 3].mean(1), atol=1e-6)
    assert np.allclose(make_target("series-trace:conv1/3,40").respond(SERIES), channels[:, 3, 40], atol=1e-6)


def test_classes_have_names_where_the_data_set_gives_them() -> None:
    series = SERIES[:, :, :150]
    by_name, by_number = make_target("series-gunpoint:output/point"), make_target("series-gunpoint:output/1")
    assert by_name.name == by_number.name == "series-gunpoint:output/point@logit"  # type: ignore[attr-defined]
    assert np.array_equal(by_name.respond(series), by_number.respond(series))


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("output/4", InputError, "0 to 3"),
        ("output/", InputError, "0 to 3"),
        ("conv2/50", InputError, "0 to 49"),
        ("conv4/1", UnknownName, "conv1"),
        ("output/gun", InputError, "number"),
        ("output/1@rate", UnknownName, "logit"),
    ],
)
def test_bad_names_say_what_is_right(text: str, kind: type[MangoError], says: str) -> None:
    with pytest.raises(kind, match=says):
        make_target(f"series-trace:{text}")


def test_series_of_another_length_are_refused() -> None:
    with pytest.raises(TargetError, match=r"1, 150"):
        make_target("series-gunpoint:output/gun").respond(SERIES)


def test_the_zoo_says_what_natural_series_do() -> None:
    target = make_target("series-trace:output/2")
    said = target.summary  # type: ignore[attr-defined]
    kept = zoo.nature("series-trace")
    assert said["natural_maximum"] == kept["output.channel"][0, 2] > said["natural_p999"] > said["natural_median"]
    training = target.respond(kept["natural_series"][:, None])
    assert abs(training.max() - said["natural_maximum"]) < 0.3  # the test series are much like the training series
    assert target.natural_source == "100 test series"  # type: ignore[attr-defined]
    assert make_target("series-trace:output/2@probability").summary == {}  # type: ignore[attr-defined]
