from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mango.targets.spiking.pooling import is_plain, largest


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    channels_last=st.booleans(),
    lost=st.booleans(),
)
def test_as_torch_pools(size, kernel, stride, channels_last, lost):
    images = torch.randn((2, 3, *size), generator=torch.Generator().manual_seed(sum(size)))
    if lost:
        images[0, 1, 1, 1] = torch.nan
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    pool = nn.MaxPool2d(kernel, stride)
    assert is_plain(pool)
    torch.testing.assert_close(largest(images, pool), pool(images), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2, padding=1),
        nn.MaxPool2d(2, dilation=2),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.MaxPool2d(2, return_indices=True),
        nn.AvgPool2d(2, padding=1),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2, divisor_override=3),
    ],
)
def test_what_is_left_to_torch(pool):
    assert not is_plain(pool)
