"""The heads by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MappingProxyType

from searchspace.heads._head import TaskHead
from searchspace.heads.deeplab import DeepLabLite
from searchspace.heads.lraspp import LRASPP
from searchspace.heads.ssdlite import SSDLite
from searchspace.support.errors import UserError

HEADS: MappingProxyType[str, Callable[..., TaskHead]] = MappingProxyType(
    {
        "ssdlite": SSDLite,
        "ssdlite_halved": partial(SSDLite, halved=True),
        "ssdlite_sandglass": partial(SSDLite, sandglass=True),
        "lraspp": LRASPP,
        "deeplab_lite": DeepLabLite,
    }
)
"""What makes each head, given `classes` or nothing (COCO's 80, VOC's 21)."""


def head_names() -> tuple[str, ...]:
    """Names of the heads."""
    return tuple(HEADS)


def head(name: str, classes: int | None = None) -> TaskHead:
    """Return a head by name; raises UserError, listing the names, for an unknown one."""
    if name not in HEADS:
        raise UserError(f"unknown head {name[:60]!r}, expected one of {', '.join(HEADS)}")
    return HEADS[name]() if classes is None else HEADS[name](classes=classes)
