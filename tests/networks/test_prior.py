"""The prior of code-book labels: a distribution, told row by row, that starts at counts and draws what it tells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from mango.networks.prior import NEAR, CodePrior

LABELS, SIDE = 4, 2
ALL = torch.tensor(list(itertools.product(range(LABELS), repeat=SIDE * SIDE)))  # every map there is


@pytest.fixture
def small() -> CodePrior:
    """Of 2 x 2 maps of four labels in two groups, with weights that leave nothing uniform."""
    torch.manual_seed(0)
    network = CodePrior(labels=LABELS, side=SIDE, embedding=3, features=8, blocks=2, groups=2, inner=4)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.3 * torch.randn_like(weights))
    return network.eval().requires_grad_(False)


def test_all_maps_together_have_probability_one(small: CodePrior) -> None:
    nats = small(ALL).double().sum(1)
    assert float(nats.exp().sum()) == pytest.approx(1, abs=1e-5)
    assert float(nats.max() - nats.min()) > 3


def test_a_label_says_nothing_of_those_before_it() -> None:
    torch.manual_seed(0)
    network = CodePrior(labels=8, side=4, groups=4)
    torch.nn.init.normal_(network.embedding)
    maps = torch.randint(8, (1, 16))
    before = network(maps)[0]
    for position in range(16):
        other = maps.clone()
        other[0, position] = (maps[0, position] + 1) % 8
        changed = (network(other)[0] != before).nonzero().flatten().tolist()
        assert min(changed) >= position
        assert set(range(position + 1, 16)) <= set(changed)  # all later ones hear of it


def test_nothing_near_lies_outside_or_ahead() -> None:
    for k, (down, right) in enumerate(NEAR):
        for position, place in enumerate(CodePrior(labels=8, side=4, groups=2).near[:, k].tolist()):
            row, column = position // 4 + down, position % 4 + right
            inside = row >= 0 and 0 <= column < 4
            assert place == (row * 4 + column if inside else 16)
            assert place < position or not inside


def test_samples_are_of_the_distribution(small: CodePrior) -> None:
    uniform = torch.from_numpy(np.random.default_rng(0).random((40_000, SIDE * SIDE, 2)))
    drawn = small.sample(uniform)
    assert torch.equal(drawn, small.sample(uniform))
    counts = torch.bincount(drawn @ LABELS ** torch.arange(3, -1, -1), minlength=len(ALL)).double()
    expected = 40_000 * small(ALL).double().sum(1).exp()
    common = expected > 5
    assert common.sum() > 50
    chi = (counts - expected).square()[common] / expected[common]
    assert float(chi.sum()) < float(common.sum()) + 5 * (2 * float(common.sum())) ** 0.5


def test_tables_made_once_change_nothing(small: CodePrior) -> None:
    assert torch.equal(small(ALL, small.tables()), small(ALL))


def test_it_starts_at_counts() -> None:
    """Each row of the maps is one label; the start knows it, having learned nothing."""
    torch.manual_seed(0)
    codebook = torch.randn(8, 3)
    maps = torch.randint(8, (500, 4)).repeat_interleave(4, 1)
    network = CodePrior(labels=8, side=4, embedding=3, groups=4)
    network.requires_grad_(False)
    flat = -network(maps).mean()
    network.start(codebook, maps)
    nats = -network(maps).view(-1, 4, 4)
    assert float(nats[:, :, 1:].mean()) < 0.6 * float(flat)
    assert float(nats[:, :, 0].mean()) == pytest.approx(np.log(8), abs=0.5)


def test_groups_are_of_like_labels() -> None:
    centres = 10 * torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    codebook = centres.repeat(4, 1) + 0.1 * torch.randn(16, 3, generator=torch.Generator().manual_seed(1))
    network = CodePrior(labels=16, side=2, embedding=3, groups=4)
    network.start(codebook, torch.randint(16, (50, 4), generator=torch.Generator().manual_seed(2)))
    groups = network.told[:, 0].view(4, 4)
    assert (groups == groups[0]).all()
    assert sorted(groups[0].tolist()) == [0, 1, 2, 3]
    assert sorted(map(tuple, network.told.tolist())) == list(itertools.product(range(4), repeat=2))
