"""The classifier of series: shapes, and that its read-out is of what the docstring says."""

from __future__ import annotations

import torch

from mango.networks.series import SeriesConvNet


def test_shapes_for_any_length_and_width() -> None:
    network = SeriesConvNet(3, channels=(2, 4, 6))
    for length in (12, 151):
        series = torch.randn(5, 1, length)
        assert network(series).shape == (5, 3)
        assert network.get_submodule("conv1")(series).shape == (5, 2, length)


def test_the_whole_computation() -> None:
    torch.manual_seed(0)
    network, x = SeriesConvNet(2), torch.randn(4, 1, 40)
    expected = x
    for i in (1, 2, 3):
        conv = network.get_submodule(f"conv{i}")[0]
        expected = torch.nn.functional.conv1d(expected, conv.weight, conv.bias, padding=1).clamp_min(0)
        if i < 3:
            expected = expected.unfold(2, 2, 2).amax(3)
    expected = expected.mean(2) @ network.output.weight.T + network.output.bias
    assert torch.allclose(network(x), expected, atol=1e-6)


def test_parameters() -> None:
    assert sum(p.numel() for p in SeriesConvNet(4).parameters()) == 40 + 1_550 + 15_100 + 404
