"""Our files beside those that Google's converter makes of the same modules."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from latency_lut.tflite import module_model
from latency_lut.tflite.runtime import quiet, run, run_named
from searchspace import Architecture, reference, reference_names
from searchspace.heads import HeadedNetwork, head, head_names
from searchspace.modules import Network, build_network
from searchspace.modules.headed import HeadedModule, build_headed
from searchspace.space import load_space, space_names

pytest.importorskip("litert_torch", reason="comparing with a conversion needs litert-torch (extra dev)")

# What the converter puts between channel-first and channel-last, and explicit padding that we express as SAME.
_MOVING = frozenset({"TRANSPOSE", "PAD", "RESHAPE"})


def operators(content: bytes) -> Counter[tuple[str, tuple[int, ...]]]:
    """Count the operators of a file that compute, by name and shape of the output."""
    from ai_edge_litert import schema_py_generated as schema

    names: dict[int, str] = {value: name for name, value in vars(schema.BuiltinOperator).items() if type(value) is int}
    model: Any = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs

    counted: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for operator in graph.operators:
        name = names[model.operatorCodes[operator.opcodeIndex].builtinCode]
        if name not in _MOVING:
            counted[name, tuple(int(length) for length in graph.tensors[operator.outputs[0]].shape)] += 1
    return counted


def converted(module: nn.Module, size: int) -> bytes:
    import litert_torch

    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    with quiet():
        channel_last = litert_torch.to_channel_last_io(module, args=[0])
        content: bytes = litert_torch.convert(channel_last, (torch.zeros(1, size, size, 3),)).model_content()
    return content


def both(module: nn.Module, size: int) -> tuple[bytes, bytes]:
    """Return our file and the conversion; ours takes a third of the processor time, or less."""
    started = time.process_time()
    ours = module_model(module, (1, 3, size, size))
    written = time.process_time()
    theirs = converted(module, size)
    ratio = (time.process_time() - written) / (written - started)
    print(f"written in {written - started:.2f} s of processor time, converted in {ratio:.0f} times as much")
    assert ratio > 3
    return ours, theirs


def compare(network: Network) -> None:
    size = network.architecture.resolution
    ours, theirs = both(network, size)
    images = np.random.default_rng(0).standard_normal((2, size, size, 3), np.float32)
    found, wanted = run(ours, images), run(theirs, images)
    assert np.abs(found - wanted).max() < 1e-4 * np.ptp(wanted)
    assert operators(ours) == operators(theirs)


class Ordered(nn.Module):
    """A network with its head, its outputs in a tuple and channel-last, as the converter keeps their order."""

    def __init__(self, module: HeadedModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.module(x)
        return tuple(found[name].permute(0, 2, 3, 1) if found[name].ndim == 4 else found[name] for name in found)


def test_a_network_with_every_kind_of_op(network):
    compare(network)


@pytest.mark.parametrize("name", ["mobilenet_v3_small_0.75@64", "mobilenext_0.35@64"])
def test_small_reference_networks(name, liven):
    compare(liven(build_network(reference(name), seed=0)))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", head_names())
def test_every_head(name, liven):
    size = 128
    network = HeadedNetwork(reference(f"mobilenet_v3_small@{size}"), head(name))
    module = Ordered(liven(build_headed(network, seed=0)))
    ours, theirs = both(module, size)
    images = np.random.default_rng(0).standard_normal((2, size, size, 3), np.float32)
    found, wanted = run_named(ours, images), run_named(theirs, images)
    for number in range(len(wanted)):
        mine, other = found[f"output_{number}"], wanted[f"output_{number}"]
        assert np.abs(mine - other).max() < 1e-4 * np.ptp(other)
    assert operators(ours) == operators(theirs)


def members() -> dict[str, Architecture]:
    """Return two random networks of each space."""
    spaces = [load_space(name) for name in space_names()]
    rng = np.random.default_rng(5)
    return {f"{s.name}/{n}": s.decode(g) for s in spaces for n, g in enumerate(s.sample(rng, 2))}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", reference_names())
def test_every_reference_network(name, liven):
    compare(liven(build_network(reference(name), seed=0)))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("architecture", members().values(), ids=members())
def test_two_networks_of_every_space(architecture, liven):
    compare(liven(build_network(architecture, seed=0)))
