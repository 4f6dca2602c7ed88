"""One row a layer: what `nas show` prints, and what a run's table and page list."""

from __future__ import annotations

from dataclasses import dataclass

from searchspace.architecture import Activation, Architecture, Layer, PlacedBlock
from searchspace.heads import HeadedNetwork, HeadLayer

ACTIVATION_NAMES = {
    Activation.RELU: "ReLU",
    Activation.RELU6: "ReLU6",
    Activation.HSWISH: "h-swish",
    Activation.LINEAR: "linear",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """A layer as a reader sees it; sizes in pixels, `hidden` and `squeeze` are 0 where there is none."""

    layer: str
    kind: str  # of the block in a word, as space files have it
    block: str
    in_size: int
    in_channels: int
    out_size: int
    out_channels: int
    activation: str
    params: int
    madds: int
    kernel: int = 1  # the widest of `kernels`
    kernels: tuple[int, ...] = (1,)  # 0 where the convolution is left out
    stride: int = 1
    hidden: int = 0
    squeeze: int = 0
    shortcut: bool = False

    @property
    def shape(self) -> str:
        """Sizes in pixels and channels, in and out, such as `56²×24 → 28²×40`."""
        return f"{self.in_size}²×{self.in_channels} → {self.out_size}²×{self.out_channels}"


def layer_rows(architecture: Architecture) -> tuple[LayerRow, ...]:
    """Return one row for the stem, each block and the head, in running order."""
    placed = tuple(architecture.placed_blocks())
    stem_ops, *block_ops, head_ops = architecture.ops()
    stem, head = architecture.stem, architecture.head
    stem_row = LayerRow(
        layer=stem_ops.name,
        kind="conv",
        block="conv",
        in_size=architecture.resolution,
        in_channels=3,
        out_size=placed[0].in_size,
        out_channels=stem.out,
        kernel=stem.kernel,
        kernels=(stem.kernel,),
        stride=stem.stride,
        activation=ACTIVATION_NAMES[stem.activation],
        params=stem_ops.params,
        madds=stem_ops.madds,
    )
    head_row = LayerRow(
        layer=head_ops.name,
        kind="classifier",
        block="classifier",
        in_size=placed[-1].out_size,
        in_channels=placed[-1].block.out,
        out_size=1,
        out_channels=architecture.classes,
        hidden=head.hidden or head.conv,
        activation=ACTIVATION_NAMES[head.activation],
        params=head_ops.params,
        madds=head_ops.madds,
    )
    return (stem_row, *map(_block_row, placed, block_ops), head_row)


def headed_rows(network: HeadedNetwork) -> tuple[LayerRow, ...]:
    """Return one row for each layer of the backbone that runs and each part of the head, in running order."""
    rows = layer_rows(network.backbone)[: 1 + network.last_block]
    return (*rows, *map(_part_row, network.layers[len(rows) :]))


def _part_row(part: HeadLayer) -> LayerRow:
    first, last = part.ops[0], part.ops[-1]
    kernels = sorted({op.kernel for op in part.ops})
    return LayerRow(
        layer=part.name,
        kind="head",
        block="head",
        in_size=first.in_size,
        in_channels=first.in_channels,
        out_size=last.out_size,
        out_channels=last.out_channels,
        kernel=kernels[-1],
        kernels=tuple(kernels),
        activation="",
        params=part.params,
        madds=part.madds,
    )


def _block_row(placed: PlacedBlock, ops: Layer) -> LayerRow:
    block = placed.block
    kernels = tuple(getattr(block, field) for field in block.family.kernels)
    return LayerRow(
        layer=ops.name,
        kind=block.family.kind,
        block=block.family.name,
        in_size=placed.in_size,
        in_channels=placed.in_channels,
        out_size=placed.out_size,
        out_channels=block.out,
        kernel=max(1, *kernels),
        kernels=kernels,
        stride=block.stride,
        hidden=getattr(block, "hidden", 0),
        squeeze=getattr(block, "squeeze", 0),
        activation=ACTIVATION_NAMES[block.activation],
        shortcut=placed.shortcut_channels > 0,
        params=ops.params,
        madds=ops.madds,
    )


def _sizes(row: LayerRow) -> str:
    return "+".join(f"{kernel}×{kernel}" if kernel else "0" for kernel in row.kernels)


def short_block(row: LayerRow) -> str:
    """Return the block in a few characters, such as `inverted 5×5 /2` with its kernel and stride."""
    if row.block == "classifier":
        return row.block
    stride = f" /{row.stride}" if row.stride > 1 else ""
    return f"{row.kind} {_sizes(row)}{stride}"


def describe_block(row: LayerRow) -> str:
    """Return the block in full, such as `inverted residual 5×5, stride 2, hidden 72, SE 24, ReLU`."""
    if row.block == "classifier":
        hidden = f", hidden {row.hidden}" if row.hidden else ""
        return f"pooling and classifier{hidden}, {row.activation}"
    words = [f"{row.block} {_sizes(row)}"]
    if row.stride > 1:
        words.append(f"stride {row.stride}")
    if row.hidden:
        words.append(f"hidden {row.hidden}")
    if row.squeeze:
        words.append(f"SE {row.squeeze}")
    return ", ".join((*words, row.activation))
