"""Published points of accuracy and latency on Pixel 1, each over V3-Large as its own source timed it.

Sources time the same phone differently (V3-Large takes 51, 58 and 70 ms), so that only the ratio can be compared; and
trainings differ, which moves top-1 by a point and more.
"""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """A network of a source: ImageNet top-1 in percent, latency in ms, and V3-Large's latency there.

    `top1` is None where the accuracy could not be checked against the source.
    """

    source: str
    name: str
    top1: float | None
    latency_ms: float
    v3_large_ms: float

    @property
    def ratio(self) -> float:
        """Latency over that of V3-Large."""
        return self.latency_ms / self.v3_large_ms


_V3, _MOGA, _OFA = "MobileNetV3 (1905.02244)", "MoGA (1908.01314)", "Once-for-All (1908.09791)"

PUBLISHED = (
    Published(_V3, "V3-Large", 75.2, 51.0, 51.0),
    Published(_V3, "V3-Large 0.75", 73.3, 39.0, 51.0),
    Published(_V3, "V3-Small", 67.4, 15.8, 51.0),
    Published(_V3, "MnasNet-A1", 75.2, 71.0, 51.0),
    Published(_V3, "ProxylessNAS", 74.6, 72.0, 51.0),
    Published(_V3, "MobileNetV2", 72.0, 64.0, 51.0),
    Published(_MOGA, "MoGA-A", 75.9, 101.0, 70.0),
    Published(_MOGA, "MoGA-B", 75.5, 81.0, 70.0),
    Published(_MOGA, "MoGA-C", 75.3, 71.0, 70.0),
    Published(_OFA, "OFA, no retraining", 76.0, 58.0, 58.0),
    Published(_OFA, "OFA, 75 epochs more", 76.9, 58.0, 58.0),
    Published(_OFA, "OFA, 20 ms", 71.4, 20.0, 58.0),
    Published(_OFA, "OFA, 28 ms", 73.3, 28.0, 58.0),
    Published(_OFA, "OFA, 40 ms", 74.9, 40.0, 58.0),
    # The search's target in TuNAS' code, on its simulated Pixel 1. That has the scale of MobileNetV3's first version,
    # where V3-Large takes 66 ms and MobileNetV2 78 (77 there). The paper's table of accuracies was not at hand.
    Published("TuNAS (2008.06120)", "TuNAS, its target", None, 57.0, 66.0),
)
