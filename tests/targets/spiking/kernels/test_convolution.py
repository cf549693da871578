from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mango.errors import InputError
from mango.targets.spiking.kernels import Order, linear_order_of, order_of, pack, prepare, spike_convolution

SHAPES = {  # Cin, Cout, kernel, stride, padding, size
    "first of the literature's network": (200, 64, (5, 5), (1, 1), (0, 0), (14, 14)),
    "padded": (64, 128, (3, 3), (1, 1), (1, 1), (8, 8)),
    "strided": (32, 48, (3, 3), (2, 2), (1, 1), (9, 11)),
    "odd channels": (20, 72, (3, 3), (1, 1), (1, 1), (7, 6)),
    "uneven kernel": (48, 96, (3, 5), (2, 1), (0, 2), (8, 9)),
    "wide padding": (16, 16, (3, 3), (1, 1), (3, 2), (4, 4)),
}


def layer(name: str, *, bias: bool = True):
    inputs, outputs, kernel, stride, padding, size = SHAPES[name]
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(outputs, inputs, *kernel, generator=generator) * (inputs * kernel[0] * kernel[1]) ** -0.5
    return weight, torch.randn(outputs, generator=generator) if bias else None, stride, padding, size


def of_torch(spikes: np.ndarray, weight, bias, stride, padding, *, channels_last: bool = False) -> np.ndarray:
    """Of spikes ``(n, H, W, Cin)``."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    given = torch.from_numpy(spikes).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    out = F.conv2d(given, weight.contiguous(memory_format=layout), bias, stride, padding)
    return out.permute(0, 2, 3, 1).numpy()


def in_order(spikes: np.ndarray, weight, bias, stride, padding, order: Order) -> np.ndarray:
    """The definition: every window in turn, every spike in turn."""
    w = weight.numpy()
    padded = np.pad(spikes, [(0, 0), *[(p, p) for p in padding], (0, 0)])
    kh, kw = w.shape[2:]
    rows, columns = ((padded.shape[i + 1] - w.shape[i + 2]) // stride[i] + 1 for i in range(2))
    out = np.empty((len(spikes), rows, columns, len(w)), np.float32)
    for n, oy, ox in np.ndindex(out.shape[:3]):
        window = padded[n, oy * stride[0] : oy * stride[0] + kh, ox * stride[1] : ox * stride[1] + kw]
        sums = []
        for begin in range(0, w.shape[1], order.block):
            total = np.zeros(len(w), np.float32)
            for i, j, c in np.argwhere(window[:, :, begin : begin + order.block]):
                total = total + w[:, begin + c, i, j]
            sums.append(total)
        out[n, oy, ox] = sums[0] + bias.numpy() if order.bias_first and bias is not None else sums[0]
        for total in sums[1:]:
            out[n, oy, ox] = total + out[n, oy, ox]
        if not order.bias_first and bias is not None:
            out[n, oy, ox] = out[n, oy, ox] + bias.numpy()
    return out


@pytest.mark.parametrize("order", [Order(16, True), Order(8, False), Order(24, True), Order(1000, False)])
@pytest.mark.parametrize("name", SHAPES)
def test_sums_are_made_in_the_given_order(name, order):
    weight, bias, stride, padding, size = layer(name)
    rng = np.random.default_rng(1)
    spikes = (rng.random((3, *size, weight.shape[1])) < 0.1).astype(np.float32)
    expected = in_order(spikes[:1] if name.startswith("first") else spikes, weight, bias, stride, padding, order)
    prepared = prepare(weight.numpy(), bias.numpy(), order)
    out = spike_convolution(pack(spikes)[None], prepared, stride, padding)[0]
    np.testing.assert_array_equal(out[: len(expected)], expected)
    if order.block < weight.shape[1]:  # the test can tell where the bias enters
        other = replace(prepared, order=replace(order, bias_first=not order.bias_first))
        assert not np.array_equal(spike_convolution(pack(spikes)[None], other, stride, padding)[0], out)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_an_order_that_was_found_is_torchs(name, channels_last, bias):
    weight, bias, stride, padding, size = layer(name, bias=bias)
    order = order_of(weight, bias, size, stride, padding, channels_last=channels_last)
    if order is None:
        pytest.skip("torch adds in an order of its own on this machine")
    prepared = prepare(weight.numpy(), None if bias is None else bias.numpy(), order)
    rng = np.random.default_rng(2)
    for images, density in ((2, 0.5), (5, 0.1), (16, 0.02), (3, 0.0), (3, 1.0)):
        spikes = (rng.random((images, *size, weight.shape[1])) < density).astype(np.float32)
        expected = of_torch(spikes, weight, bias, stride, padding, channels_last=channels_last)
        out = spike_convolution(pack(spikes)[None], prepared, stride, padding)
        np.testing.assert_array_equal(out[0], expected)


@pytest.mark.parametrize("rows", [4, 16])
@pytest.mark.parametrize(("inputs", "outputs"), [(100, 64), (300, 100), (1600, 100), (100, 10)])
def test_the_order_of_a_linear_layer(inputs, outputs, rows):
    generator = torch.Generator().manual_seed(4)
    weight = torch.randn(outputs, inputs, generator=generator) * inputs**-0.5
    bias = torch.randn(outputs, generator=generator)
    order = linear_order_of(weight, bias, rows)
    if order is None:
        pytest.skip("torch adds in an order of its own on this machine")
    prepared = prepare(weight[:, :, None, None].numpy(), bias.numpy(), order)
    for density in (0.02, 0.3, 1.0):
        spikes = (torch.rand(64, inputs, generator=generator) < density).float()
        out = spike_convolution(pack(spikes.numpy())[None, :, None, None], prepared)
        np.testing.assert_array_equal(out[0, :, 0, 0], F.linear(spikes, weight, bias).numpy())


def test_no_order_is_found_where_torch_adds_otherwise(monkeypatch):
    weight, bias, stride, padding, size = layer("padded")
    forwards = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda x, w, *rest: forwards(x.flip(1), w.flip(1), *rest))
    assert order_of(weight, bias, size, stride, padding) is None


def test_steps_and_images_keep_their_places():
    weight, bias, stride, padding, size = layer("strided")
    prepared = prepare(weight.numpy(), bias.numpy(), Order(16, True))
    spikes = (np.random.default_rng(4).random((3, 2, *size, 32)) < 0.2).astype(np.float32)
    words = pack(spikes)
    out = spike_convolution(words, prepared, stride, padding)
    for t, n in np.ndindex(3, 2):
        alone = spike_convolution(words[t : t + 1, n : n + 1], prepared, stride, padding)
        np.testing.assert_array_equal(out[t, n], alone[0, 0])


def test_what_cannot_be_convolved():
    weight, bias = np.zeros((8, 20, 3, 3), np.float32), np.zeros(8, np.float32)
    words = np.zeros((1, 1, 5, 5, 2), np.uint16)
    prepared = prepare(weight, bias, Order(16, True))
    with pytest.raises(InputError, match=r"weights \(Cout, Cin, KH, KW\) and bias \(Cout,\)"):
        prepare(weight, bias[:7], Order(16, True))
    with pytest.raises(InputError, match="finite weights"):
        prepare(weight * np.nan, bias, Order(16, True))
    with pytest.raises(InputError, match="block of at least 1"):
        prepare(weight, bias, Order(0, True))
    with pytest.raises(InputError, match="expected words of 2 groups of 16 channels; got 1"):
        spike_convolution(words[..., :1].copy(), prepared)
    with pytest.raises(InputError, match="words as uint16 of 5 dimensions"):
        spike_convolution(words.astype(np.int32), prepared)
    with pytest.raises(InputError, match="contiguous"):
        spike_convolution(words[:, :, ::2], prepared)
    with pytest.raises(InputError, match="does not fit"):
        spike_convolution(words[:, :, :2].copy(), prepared)
    with pytest.raises(InputError, match="stride >= 1"):
        spike_convolution(words, prepared, stride=(0, 1))
