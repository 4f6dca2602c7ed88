"""The compact text of an architecture: `r224,stem_k3_s2_c16_hs,ir_k3_s1_h16_c16_re,...,head_c960_h1280_hs,n1000`.

Reading is total: `parse(str(a)) == a`, and whatever is not the canonical spelling of a network is refused with the
place named. The same tokens, one a line, make the YAML form (`searchspace.yaml_io`).

    r224      input resolution          k3  kernel          re r6 hs li   ReLU, ReLU6, h-swish, linear
    stem      first convolution         s2  stride          se24 / sl6    squeeze-excite, hard / logistic gate
    head      c: 1x1 convolution,       h96 hidden channels id1/2         share of channels the shortcut adds to
              h: hidden layer,          c24 output channels n1000         classes
              bn: with batch norm

`symmetric` behind the resolution says that stride-2 convolutions are padded on both sides, as torch does; left out it
is TensorFlow's SAME.

A block's token starts with its family's prefix (`ir`, `sg`, `ds`, `cn`, ...); `example` and `words` in each file of
`searchspace.blocks` show the rest: `last` and `nodw` are a sandglass without its first or any depthwise layer, `x`
an inverted residual that expands to as many channels as it receives.
"""

from __future__ import annotations

import re
from functools import cache

from searchspace.architecture import Architecture, Block, Head, Stem
from searchspace.blocks import Padding, block_families
from searchspace.blocks import _words as words
from searchspace.support.errors import UserError

_STEM = words.Form("stem", Stem, (words.KERNEL, words.STRIDE, words.OUT, words.ACTIVATION), "stem_k3_s2_c16_hs")
_HEAD = words.Form(
    "head",
    Head,
    (
        words.Number("c", "conv", optional=True),
        words.Number("h", "hidden", optional=True),
        words.ACTIVATION,
        words.Named("normalised", {"bn": True}, False),
    ),
    "head_c960_h1280_hs",
)


@cache
def _block_forms() -> dict[str, words.Form]:
    """The form of each family's token, by its prefix."""
    families = ((block, block.family) for block in block_families())
    return {family.prefix: words.Form(family.prefix, block, family.words, family.example) for block, family in families}


def _read_number(token: str, letter: str, place: str, what: str) -> int:
    if re.fullmatch(rf"{letter}(?:{words.NUMBER})", token) is None:
        raise UserError(f"{place}: cannot read {token[:80]!r}, expected the {what} such as {letter}224")
    return int(token[1:])


def parse_stem(token: str) -> Stem:
    """Read a stem token; raises UserError naming what is wrong."""
    stem: Stem = _STEM.read(token, "stem")
    return stem


def parse_head(token: str) -> Head:
    """Read a head token; raises UserError naming what is wrong."""
    head: Head = _HEAD.read(token, "head")
    return head


def parse_block(token: str, place: str = "block") -> Block:
    """Read one block token; raises UserError naming `place` and what is wrong."""
    prefix = token.split("_", 1)[0]
    form = _block_forms().get(prefix)
    if form is None:
        known = ", ".join(_block_forms())
        raise UserError(f"{place}: unknown block {token[:80]!r}, expected one starting with {known}")
    block: Block = form.read(token, place)
    return block


def parse(text: str) -> Architecture:
    """Read the compact text of an architecture; raises UserError naming the token that is wrong."""
    tokens = [token.strip() for token in text.strip().split(",")]
    if len(tokens) < 5:
        raise UserError(
            f"cannot read {text[:80]!r} as a network: expected resolution, stem, blocks, head and classes, "
            "separated by commas, such as r224,stem_k3_s2_c16_hs,...,head_c960_h1280_hs,n1000"
        )
    padding = Padding.SYMMETRIC if tokens[1] == Padding.SYMMETRIC else Padding.SAME
    resolution, stem, *blocks, head, classes = tokens if padding is Padding.SAME else (tokens[0], *tokens[2:])
    return Architecture(
        resolution=_read_number(resolution, "r", "token 1", "resolution"),
        stem=parse_stem(stem),
        blocks=tuple(parse_block(token, f"block {i}") for i, token in enumerate(blocks, start=1)),
        head=parse_head(head),
        classes=_read_number(classes, "n", "last token", "number of classes"),
        padding=padding,
    )


def format_stem(stem: Stem) -> str:
    """Return the token of a stem."""
    return _STEM.write(stem)


def format_head(head: Head) -> str:
    """Return the token of a head."""
    return _HEAD.write(head)


def format_block(block: Block) -> str:
    """Return the token of a block."""
    return str(block)


def format_architecture(architecture: Architecture) -> str:
    """Return the canonical compact text of an architecture."""
    return ",".join(
        (
            f"r{architecture.resolution}",
            *(() if architecture.padding is Padding.SAME else (architecture.padding.value,)),
            format_stem(architecture.stem),
            *map(format_block, architecture.blocks),
            format_head(architecture.head),
            f"n{architecture.classes}",
        )
    )
