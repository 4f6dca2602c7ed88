"""Which operators of a file XNNPACK runs here, and which fall back to TFLite's own, slower kernels."""

from __future__ import annotations

from collections import Counter
from typing import Any

from latency_lut.tflite.runtime import load

_DELEGATE = "DELEGATE"


def fallbacks(content: bytes) -> dict[str, int]:
    """Return how many operators of each name XNNPACK does not take over, most frequent first."""
    details = load(content)._get_ops_details()
    own = [detail for detail in details if detail["op_name"] != _DELEGATE]
    taken = _taken(own, [detail for detail in details if detail["op_name"] == _DELEGATE])
    left = Counter(detail["op_name"] for detail in own if detail["index"] not in taken)
    return dict(left.most_common())


def _taken(own: list[Any], partitions: list[Any]) -> set[int]:
    """Return the operators between the inputs and the outputs of any partition that was handed over."""
    producers = {tensor: detail for detail in own for tensor in detail["outputs"]}
    taken: set[int] = set()
    for partition in partitions:
        ends = set(partition["inputs"])
        waiting = list(partition["outputs"])
        while waiting:
            tensor = waiting.pop()
            producer = producers.get(tensor)
            if tensor in ends or producer is None or producer["index"] in taken:
                continue
            taken.add(producer["index"])
            waiting += list(producer["inputs"])
    return taken
