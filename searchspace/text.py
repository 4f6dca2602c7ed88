"""The compact text of an architecture: `r224,stem_k3_s2_c16_hs,ir_k3_s1_h16_c16_re,...,head_c960_h1280_hs,n1000`.

Reading is total: `parse(str(a)) == a`, and whatever is not the canonical spelling of a network is refused with the
place named. The same tokens, one a line, make the YAML form (`searchspace.yaml_io`).

    r224      input resolution          k3  kernel          re r6 hs li   ReLU, ReLU6, h-swish, linear
    stem      first convolution         s2  stride          se24 / sl6    squeeze-excite, hard / logistic gate
    ir        inverted residual         h96 hidden channels last nodw     sandglass without first / any depthwise
    sg        sandglass                 c24 output channels id1/2         share of channels the shortcut adds to
    ds cn     separable, dense conv     n1000 classes       head          c: 1x1 convolution, h: hidden layer
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from searchspace.architecture import (
    Activation,
    Architecture,
    Block,
    Conv,
    Depthwise,
    Gate,
    Head,
    InvertedResidual,
    Sandglass,
    Separable,
    Stem,
)
from searchspace.support.errors import UserError

_NUMBER = "0|[1-9][0-9]{0,8}"
_ACTIVATIONS = "|".join(activation.value for activation in Activation)

_KERNEL = rf"_k(?P<kernel>{_NUMBER})"
_STRIDE = rf"_s(?P<stride>{_NUMBER})"
_HIDDEN = rf"_h(?P<hidden>{_NUMBER})"
_OUT = rf"_c(?P<out>{_NUMBER})"
_ACTIVATION = rf"_(?P<activation>{_ACTIVATIONS})"
_DEPTHWISE = r"(?:_(?P<depthwise>last|nodw))?"
_SQUEEZE = r"(?:_(?P<gate>se|sl)(?P<squeeze>[1-9][0-9]{0,8}))?"
_IDENTITY = rf"(?:_id(?P<identity>(?:{_NUMBER})(?:/[1-9][0-9]{{0,8}})?))?"

_GATES = {"se": Gate.HARD, "sl": Gate.LOGISTIC}
_DEPTHWISES = {"last": Depthwise.LAST, "nodw": Depthwise.NONE}


class _Form(NamedTuple):
    """How one kind of token is spelled: its prefix, its pattern and an example for error messages."""

    prefix: str
    make: Callable[..., Any]
    pattern: re.Pattern[str]
    example: str


def _form(prefix: str, make: Callable[..., Any], fields: str, example: str) -> _Form:
    return _Form(prefix, make, re.compile(prefix + fields), example)


_BLOCK_FIELDS = _KERNEL + _STRIDE + _HIDDEN + _OUT + _ACTIVATION
_STEM = _form("stem", Stem, _KERNEL + _STRIDE + _OUT + _ACTIVATION, "stem_k3_s2_c16_hs")
_HEAD = _form(
    "head",
    Head,
    r"(?:_c(?P<conv>[1-9][0-9]{0,8}))?(?:_h(?P<hidden>[1-9][0-9]{0,8}))?" + _ACTIVATION,
    "head_c960_h1280_hs",
)
_BLOCKS = (
    _form("ir", InvertedResidual, _BLOCK_FIELDS + _SQUEEZE + _IDENTITY, "ir_k5_s2_h72_c40_re_se24"),
    _form("sg", Sandglass, _BLOCK_FIELDS + _DEPTHWISE + _SQUEEZE + _IDENTITY, "sg_k3_s1_h32_c192_r6"),
    _form("ds", Separable, _KERNEL + _STRIDE + _OUT + _ACTIVATION, "ds_k3_s1_c64_re"),
    _form("cn", Conv, _KERNEL + _STRIDE + _OUT + _ACTIVATION + _IDENTITY, "cn_k3_s1_c64_re"),
)
_BLOCK_BY_PREFIX = {form.prefix: form for form in _BLOCKS}
_PREFIX_BY_BLOCK = {form.make: form.prefix for form in _BLOCKS}


def _fields(match: re.Match[str]) -> dict[str, Any]:
    """Turn the named groups of a token into constructor arguments, leaving out what was not written."""
    fields: dict[str, Any] = {}
    for name, written in match.groupdict().items():
        if written is None:
            continue
        match name:
            case "activation":
                fields[name] = Activation(written)
            case "gate":
                fields[name] = _GATES[written]
            case "depthwise":
                fields[name] = _DEPTHWISES[written]
            case "identity":
                fields[name] = Fraction(written)
            case _:
                fields[name] = int(written)
    return fields


def _read(token: str, form: _Form, place: str) -> Any:
    match = form.pattern.fullmatch(token)
    if match is None:
        raise UserError(f"{place}: cannot read {token[:80]!r}, expected the form of {form.example!r}")
    try:
        value = form.make(**_fields(match))
    except UserError as error:
        raise UserError(f"{place} ({token}): {error}") from None
    written = _token(form.prefix, value)
    if written != token:
        raise UserError(f"{place}: {token!r} is not the canonical spelling, write {written!r}")
    return value


def _read_number(token: str, letter: str, place: str, what: str) -> int:
    if re.fullmatch(rf"{letter}(?:{_NUMBER})", token) is None:
        raise UserError(f"{place}: cannot read {token[:80]!r}, expected the {what} such as {letter}224")
    return int(token[1:])


def parse_stem(token: str) -> Stem:
    """Read a stem token; raises UserError naming what is wrong."""
    stem: Stem = _read(token, _STEM, "stem")
    return stem


def parse_head(token: str) -> Head:
    """Read a head token; raises UserError naming what is wrong."""
    head: Head = _read(token, _HEAD, "head")
    return head


def parse_block(token: str, place: str = "block") -> Block:
    """Read one block token; raises UserError naming `place` and what is wrong."""
    prefix = token.split("_", 1)[0]
    form = _BLOCK_BY_PREFIX.get(prefix)
    if form is None:
        known = ", ".join(_BLOCK_BY_PREFIX)
        raise UserError(f"{place}: unknown block {token[:80]!r}, expected one starting with {known}")
    block: Block = _read(token, form, place)
    return block


def parse(text: str) -> Architecture:
    """Read the compact text of an architecture; raises UserError naming the token that is wrong."""
    tokens = [token.strip() for token in text.strip().split(",")]
    if len(tokens) < 5:
        raise UserError(
            f"cannot read {text[:80]!r} as a network: expected resolution, stem, blocks, head and classes, "
            "separated by commas, such as r224,stem_k3_s2_c16_hs,...,head_c960_h1280_hs,n1000"
        )
    resolution, stem, *blocks, head, classes = tokens
    return Architecture(
        resolution=_read_number(resolution, "r", "token 1", "resolution"),
        stem=parse_stem(stem),
        blocks=tuple(parse_block(token, f"block {i}") for i, token in enumerate(blocks, start=1)),
        head=parse_head(head),
        classes=_read_number(classes, "n", "last token", "number of classes"),
    )


def _token(prefix: str, part: Any) -> str:
    """Spell a stem, block or head; optional fields are left out where they have their default."""
    words = [prefix]
    for letter, name in (("k", "kernel"), ("s", "stride")):
        if hasattr(part, name):
            words.append(f"{letter}{getattr(part, name)}")
    if isinstance(part, Head):
        words += [f"{letter}{count}" for letter, count in (("c", part.conv), ("h", part.hidden)) if count]
    else:
        words += [f"h{part.hidden}"] if hasattr(part, "hidden") else []
        words.append(f"c{part.out}")
    words.append(part.activation.value)
    depthwise = getattr(part, "depthwise", Depthwise.BOTH)
    words += [word for word, value in _DEPTHWISES.items() if value is depthwise]
    if getattr(part, "squeeze", 0):
        word = next(word for word, gate in _GATES.items() if gate is part.gate)
        words.append(f"{word}{part.squeeze}")
    identity = getattr(part, "identity", Fraction(1))
    words += [] if identity == 1 else [f"id{identity}"]
    return "_".join(words)


def format_stem(stem: Stem) -> str:
    """Return the token of a stem."""
    return _token("stem", stem)


def format_head(head: Head) -> str:
    """Return the token of a head."""
    return _token("head", head)


def format_block(block: Block) -> str:
    """Return the token of a block."""
    return _token(_PREFIX_BY_BLOCK[type(block)], block)


def format_architecture(architecture: Architecture) -> str:
    """Return the canonical compact text of an architecture."""
    return ",".join(
        (
            f"r{architecture.resolution}",
            format_stem(architecture.stem),
            *map(format_block, architecture.blocks),
            format_head(architecture.head),
            f"n{architecture.classes}",
        )
    )
