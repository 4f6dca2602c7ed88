"""The metrics of networks by name, for batches of genotypes and for one network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from latency_lut.compiled import CompiledCost, compile_counts
from nas.objectives._metrics import Metric
from nas.objectives._results import Values
from searchspace.choices import Genotypes
from searchspace.ops import OpKind
from searchspace.protocols import NetworkValue, Space

_BYTES = 4  # of a float32


class Measures:
    """Metrics of the networks of one space; `costs` prices each device that a latency is asked on, "" the first."""

    def __init__(self, space: Space, costs: Mapping[str, CompiledCost]) -> None:
        self.space, self.costs = space, costs
        self._counts = compile_counts(space)

    def values(self, metric: Metric, genotypes: Genotypes) -> Values:
        """Return one metric of networks of shape (n, choices), shape (n,); not for top-1, which is evaluated.

        The memory of activations is no sum over operations: it takes a good part of a millisecond a network.
        """
        if metric.base == "latency_ms":
            return self.costs[metric.device].latency_ms(genotypes)
        if metric.base == "madds":
            return self._counts(genotypes, [0])[0]
        if metric.base == "params":
            return self._counts(genotypes, [1])[0]
        assert metric.base == "peak_activation_bytes"
        return np.array([peak_activation_bytes(self.space.decode(row)) for row in genotypes], dtype=np.float64)


def peak_activation_bytes(network: NetworkValue) -> int:
    """Return the memory its activations take at most, in bytes of float32 at batch 1.

    That of section 5.1 of MobileNetV2 (arXiv 1801.04381): the largest total of any operation's inputs and outputs,
    where operations run one after the other and a block with a shortcut holds its input until the sum. The paper's
    table 3 counts 16-bit numbers and one tensor only.
    """
    most = 0
    for layer in network.ops():
        shortcut = any(op.kind in (OpKind.ADD, OpKind.CONCAT) for op in layer.ops)
        first = layer.ops[0]
        held = first.in_pixels * first.in_channels if shortcut else 0
        for number, op in enumerate(layer.ops):
            sizes = op.in_pixels * op.in_channels + op.out_pixels * op.out_channels
            most = max(most, sizes + (held if number else 0))
    return _BYTES * most
