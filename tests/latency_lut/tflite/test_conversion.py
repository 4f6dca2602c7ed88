"""Our files beside those that Google's converter makes of the same modules."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from latency_lut.tflite import module_model
from latency_lut.tflite.runtime import quiet, run
from searchspace import Architecture, reference, reference_names
from searchspace.modules import Network, build_network
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


def converted(network: Network) -> bytes:
    import litert_torch

    size = network.architecture.resolution
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    with quiet():
        channel_last = litert_torch.to_channel_last_io(network, args=[0])
        content: bytes = litert_torch.convert(channel_last, (torch.zeros(1, size, size, 3),)).model_content()
    return content


def compare(network: Network) -> None:
    size = network.architecture.resolution
    ours, theirs = module_model(network, (1, 3, size, size)), converted(network)
    images = np.random.default_rng(0).standard_normal((2, size, size, 3), np.float32)
    found, wanted = run(ours, images), run(theirs, images)
    assert np.abs(found - wanted).max() < 1e-4 * np.ptp(wanted)
    assert operators(ours) == operators(theirs)


def test_a_network_with_every_kind_of_op(network):
    compare(network)


@pytest.mark.parametrize("name", ["mobilenet_v3_small_0.75@64", "mobilenext_0.35@64"])
def test_small_reference_networks(name, liven):
    compare(liven(build_network(reference(name), seed=0)))


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
