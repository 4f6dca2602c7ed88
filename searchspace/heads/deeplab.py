"""A light DeepLabV3 head: atrous spatial pyramid pooling with separable convolutions (Chen et al., arXiv 1706.05587).

Branches over the map at stride 16: 1x1, separable 3x3 at three dilations, and the pooled map; joined and projected by a
1x1 convolution, classified, enlarged to the image. DeepLabV3's rates 6, 12 and 18 are for maps of 33 px and more; those
here are half as wide, for the smaller images of phones. MobileNetV2 (section 6.3) drops the dilated branches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from searchspace.blocks import Activation
from searchspace.blocks._values import require_channels
from searchspace.heads._graph import IMAGE, Graph, Node, NodeKind, Shape, separable
from searchspace.heads._head import TaskHead

RATES = (3, 6, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepLabLite(TaskHead):
    """Scores (classes, height, width) from the map at stride 16, through branches of `channels` filters."""

    task: ClassVar[str] = "segmentation"
    strides: ClassVar[tuple[int, ...]] = (16,)

    classes: int = 21
    channels: int = 128

    def __post_init__(self) -> None:
        require_channels("classes", self.classes)
        require_channels("head channels", self.channels)

    @property
    def name(self) -> str:
        """`deeplab_lite`."""
        return "deeplab_lite"

    def graph(self, taps: Mapping[str, Shape]) -> Graph:
        """Return the branches, their joint projection and the classifier."""
        del taps
        conv, relu, source, width = NodeKind.CONV, Activation.RELU, "stride16", self.channels
        nodes = [Node("point", conv, (source,), "branch1", width, activation=relu)]
        for number, rate in enumerate(RATES, start=2):
            nodes += separable(f"rate{rate}", source, f"branch{number}", width, activation=relu, dilation=rate)
        branches = ("point", *(f"rate{rate}" for rate in RATES), "spread")
        return (
            *nodes,
            Node("pooled", NodeKind.POOL, (source,), "pooled"),
            Node("squeezed", conv, ("pooled",), "pooled", width, activation=relu),
            Node("spread", NodeKind.RESIZE, ("squeezed",), "pooled", like=source),
            Node("joined", NodeKind.CONCAT, branches, "project"),
            Node("projected", conv, ("joined",), "project", width, activation=relu),
            Node("coarse_scores", conv, ("projected",), "classify", self.classes, normalised=False),
            Node("scores", NodeKind.RESIZE, ("coarse_scores",), "enlarge", like=IMAGE),
        )

    def outputs(self) -> Mapping[str, tuple[str, ...]]:
        """Return the enlarged scores."""
        return {"scores": ("scores",)}
