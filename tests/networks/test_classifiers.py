"""Shapes of the classifiers, and what they are made of."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mango.networks.resnet import BasicBlock, ResNet18
from mango.networks.vgg import VGG
from mango.networks.vit import Block, ViT

SHAPES = {
    "resnet18": [(4, 32, 32), (4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4), (7,)],
    "vgg": [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4), (7,)],
    "vit": [(64, 8), (64, 8), (64, 8), (7,)],
}


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "vit":
        return ViT(features=8, depth=3, heads=2, classes=7)
    return (ResNet18 if name == "resnet18" else VGG)(width=4, classes=7)


@pytest.mark.parametrize("name", SHAPES)
def test_each_named_layer_has_its_shape(name: str) -> None:
    network = build(name).eval()
    found: dict[str, tuple[int, ...]] = {}
    for layer in network.layers:
        network.get_submodule(layer).register_forward_hook(
            lambda _m, _i, answer, layer=layer: found.__setitem__(layer, tuple(answer.shape))
        )
    network(torch.rand(2, 3, 32, 32))
    assert list(found) == list(network.layers)
    assert [shape[1:] for shape in found.values()] == SHAPES[name]
    assert {shape[0] for shape in found.values()} == {2}


@pytest.mark.parametrize("name", SHAPES)
def test_every_weight_takes_part(name: str) -> None:
    network = build(name)
    network(torch.rand(8, 3, 32, 32)).square().sum().backward()
    silent = [key for key, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert silent == []


def test_resnet18_of_full_width_is_the_published_one() -> None:
    assert sum(weight.numel() for weight in ResNet18().parameters()) == 11_173_962  # of its usual CIFAR-10 form


def test_a_basic_block_adds_its_input() -> None:
    block = BasicBlock(3, 3).eval()
    nn.init.zeros_(block.norm2.weight)
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(block(x), F.relu(x))


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    block, reference = Block(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(block.to_heads.weight)
        reference.in_proj_bias.copy_(block.to_heads.bias)
        reference.out_proj.weight.copy_(block.from_heads.weight)
        reference.out_proj.bias.copy_(block.from_heads.bias)
    tokens = torch.randn(2, 5, 12)
    assert torch.allclose(block.attention(tokens), reference(tokens, tokens, tokens)[0], atol=1e-6)


def test_tokens_are_patches_row_by_row() -> None:
    network = build("vit").eval()
    dark, lit = torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
    lit[..., 4:8, 8:12] = 1  # the second row's third patch
    tokens = [network.patches(image).flatten(2).transpose(1, 2) for image in (dark, lit)]
    assert (tokens[0] != tokens[1]).any(2)[0].nonzero().flatten().tolist() == [10]


def test_attention_starts_near_like_tokens() -> None:
    torch.manual_seed(0)
    block = Block(64, 1)
    query, key, value = block.to_heads.weight.split(64)
    for product, scale in ((query.T @ key, 0.7), (value.T @ block.from_heads.weight.T, -0.4)):
        noise = (product - scale * torch.eye(64)) / (abs(scale) / 8)
        assert noise.mean().item() == pytest.approx(0, abs=0.05)
        assert noise.std().item() == pytest.approx(1, abs=0.05)
    near = (waves := ViT(features=64).positions) @ waves.T
    assert torch.equal(near.argmax(1), torch.arange(64))
    assert near[0, 1] > near[0, 2] > near[0, 4]
