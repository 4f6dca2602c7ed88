"""LR-ASPP, the segmentation head of MobileNetV3 (section 6.4, figure 10).

The deep map goes through a 1x1 convolution, gated by its pooled self (a 1x1 convolution and a sigmoid), is enlarged to
the map at stride 8 and classified; the map at stride 8 is classified too and both are added. The paper runs the last
blocks dilated at stride 16; here the backbone is taken as it is, the deep map at stride 32, and pooling is over the
whole map, as in torchvision. The scores are enlarged to the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from searchspace.blocks import Activation
from searchspace.blocks._values import require_channels
from searchspace.heads._graph import IMAGE, Graph, Node, NodeKind, Shape
from searchspace.heads._head import TaskHead


@dataclass(frozen=True, slots=True, kw_only=True)
class LRASPP(TaskHead):
    """Scores (classes, height, width) from the maps at strides 8 and 32, through `channels` filters."""

    task: ClassVar[str] = "segmentation"
    strides: ClassVar[tuple[int, ...]] = (8, 32)

    classes: int = 21
    channels: int = 128

    def __post_init__(self) -> None:
        require_channels("classes", self.classes)
        require_channels("head channels", self.channels)

    @property
    def name(self) -> str:
        """`lraspp`."""
        return "lraspp"

    def graph(self, taps: Mapping[str, Shape]) -> Graph:
        """Return both branches and their sum."""
        del taps
        conv, relu = NodeKind.CONV, Activation.RELU
        return (
            Node("deep", conv, ("stride32",), "deep", self.channels, activation=relu),
            Node("pooled", NodeKind.POOL, ("stride32",), "gate"),
            Node("squeezed", conv, ("pooled",), "gate", self.channels, normalised=False),
            Node("gate", NodeKind.SIGMOID, ("squeezed",), "gate"),
            Node("gated", NodeKind.SCALE, ("deep", "gate"), "gate"),
            Node("enlarged", NodeKind.RESIZE, ("gated",), "classify", like="stride8"),
            Node("deep_scores", conv, ("enlarged",), "classify", self.classes, normalised=False),
            Node("fine_scores", conv, ("stride8",), "classify", self.classes, normalised=False),
            Node("summed", NodeKind.ADD, ("deep_scores", "fine_scores"), "classify"),
            Node("scores", NodeKind.RESIZE, ("summed",), "enlarge", like=IMAGE),
        )

    def outputs(self) -> Mapping[str, tuple[str, ...]]:
        """Return the enlarged scores."""
        return {"scores": ("scores",)}
