"""The options that put a head on a network, shared by the commands that count, price and export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from searchspace.architecture import Architecture
    from searchspace.heads import HeadedNetwork

HeadOption = Annotated[
    str | None,
    typer.Option(
        "--head",
        metavar="HEAD",
        help="In the classifier's place: ssdlite, ssdlite_halved, ssdlite_sandglass, lraspp or deeplab_lite.",
    ),
]
ClassesOption = Annotated[
    int | None,
    typer.Option("--classes", metavar="N", help="Classes of the head; default: COCO's 80, VOC's 21 with background."),
]
NOT_PUBLISHED = "The counts of this head are not published; they are counted layer by layer."


def headed(architecture: Architecture, head: str, classes: int | None) -> HeadedNetwork:
    """Return the network with the head; raises UserError for an unknown head or a network without its maps."""
    from searchspace.heads import HeadedNetwork
    from searchspace.heads import head as head_of

    return HeadedNetwork(architecture, head_of(head, classes))


def refuse_classes(head: str | None, classes: int | None) -> None:
    """Raise UserError where classes of a head are given without one."""
    if head is None and classes is not None:
        raise UserError("--classes is the number of classes of a head: give --head too, such as --head ssdlite")
