"""Folding batch norm changes the layers, not the function."""

from __future__ import annotations

import pytest
import torch

from searchspace import reference
from searchspace.modules import ConvBNAct, build_network, fold_batch_norm


@pytest.mark.parametrize("name", ["mobilenet_v3_small@64", "mobilenext_0.35@64", "mobilenet_v1_0.25@65"])
def test_a_folded_network_computes_the_same(name):
    architecture = reference(name)
    generator = torch.Generator().manual_seed(0)
    network = build_network(architecture, seed=0)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.running_var):
                tensor.uniform_(0.5, 2.0, generator=generator)
            for tensor in (layer.bias.data, layer.running_mean):
                tensor.normal_(0.0, 0.3, generator=generator)
    images = torch.randn(2, 3, architecture.resolution, architecture.resolution, generator=generator)
    folded = fold_batch_norm(network)
    assert not any(isinstance(layer, ConvBNAct) for layer in folded.modules())
    assert network.training and any(isinstance(layer, ConvBNAct) for layer in network.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network.eval()(images), rtol=1e-3, atol=1e-4)
