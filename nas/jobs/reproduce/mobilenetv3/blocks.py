"""Networks told block by block, so that several can be laid side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from nas.jobs.reproduce.findings import Table
from searchspace.architecture import Activation, Architecture, Gate, InvertedResidual, PlacedBlock

_NAMES = {Activation.RELU: "", Activation.RELU6: "", Activation.HSWISH: " HS", Activation.LINEAR: " linear"}
Place = tuple[int, int]  # size of the map that comes out, in pixels, and which of those of that size


def side_by_side(title: str, networks: Mapping[str, Architecture], note: str = "") -> Table:
    """Return a table of networks by stage: blocks with the same output width and map size stand in one row."""
    columns = {name: stages(network) for name, network in networks.items()}
    places = sorted({place for column in columns.values() for place in column}, key=lambda at: (-at[0], at[1]))
    rows = [(f"{size}²", *(column.get((size, number), "-") for column in columns.values())) for size, number in places]
    heads = ("head", *(_head(network) for network in networks.values()))
    stems = ("stem", *(_stem(network) for network in networks.values()))
    return Table(
        title=title,
        columns=("maps", *networks),
        rows=[stems, *rows, heads],
        note=note
        or "Number of blocks x kernel, expansion in channels (e), output channels (c), squeeze-excite (SE), "
        "h-swish (HS).",
        numbers=1 + len(networks),
    )


def stages(network: Architecture) -> dict[Place, str]:
    """Return the blocks of every stage in words, by place."""
    found: dict[Place, str] = {}
    members = groupby(network.placed_blocks(), key=lambda placed: (placed.out_size, placed.block.out))
    for (size, out), blocks in members:
        number = sum(place[0] == size for place in found)
        found[size, number] = f"{_runs([_block(placed) for placed in blocks])}, c{out}"
    return found


def _runs(words: Sequence[str]) -> str:
    runs = [(word, len(list(same))) for word, same in groupby(words)]
    return " + ".join(f"{count}x {word}" for word, count in runs)


def _block(placed: PlacedBlock) -> str:
    block = placed.block
    if not isinstance(block, InvertedResidual):
        return str(block)
    squeeze = f" SE{block.squeeze}" if block.squeeze else ""
    gate = "l" if squeeze and block.gate is Gate.LOGISTIC else ""
    return f"k{block.kernel} e{block.hidden}{squeeze}{gate}{_NAMES[block.activation]}"


def _stem(network: Architecture) -> str:
    return f"k{network.stem.kernel} c{network.stem.out}{_NAMES[network.stem.activation]}"


def _head(network: Architecture) -> str:
    head = network.head
    parts = [f"1x1 {head.conv}" if head.conv else "", f"after pooling {head.hidden}" if head.hidden else ""]
    return ", ".join(part for part in parts if part) + _NAMES[head.activation]
