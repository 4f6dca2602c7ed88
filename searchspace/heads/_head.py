"""What every head has: the feature maps it reads, its graph, what it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from searchspace.architecture import Architecture
from searchspace.heads._graph import Graph, Shape
from searchspace.heads._taps import Tap, tap_at


class TaskHead(ABC):
    """A head: a frozen value with a number of `classes`, declared by the strides it reads and its graph."""

    __slots__ = ()

    task: ClassVar[str]  # detection or segmentation
    strides: ClassVar[tuple[int, ...]]
    inside: ClassVar[bool] = False  # whether it reads expansions inside the blocks that take a stride
    published: ClassVar[str] = ""  # where its counts were published, empty where they were not

    classes: int

    @property
    @abstractmethod
    def name(self) -> str:
        """What the command line calls it."""

    @abstractmethod
    def graph(self, taps: Mapping[str, Shape]) -> Graph:
        """Return its layers in running order, over the feature maps `stride8`, ... of these shapes."""

    @abstractmethod
    def outputs(self) -> Mapping[str, tuple[str, ...]]:
        """Return the nodes that each named output is made of."""

    def backbone(self, architecture: Architecture) -> Architecture:
        """Return the network it is put on, given the one asked for."""
        return architecture

    def taps(self, architecture: Architecture) -> tuple[Tap, ...]:
        """Return the feature maps it reads; raises UserError where the network has no map at a stride."""
        return tuple(tap_at(architecture, stride, inside=self.inside) for stride in self.strides)
