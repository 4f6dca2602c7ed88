"""Space files: every field is checked when the file is read, and the message says what may stand there."""

from __future__ import annotations

import random
import string
import time
from pathlib import Path

import pytest

from searchspace.layer_options import KINDS
from searchspace.space import load_space, space_names, space_text
from searchspace.support.errors import UserError

HEAD = """format: space/1
name: x
stem: stem_k3_s2_c16_hs
head: head_c960_h1280_hs
"""


def load(tmp_path: Path, text: str):
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8")
    return load_space(path)


def with_stage(stage: str) -> str:
    return f"{HEAD}stages:\n  - {stage}\n"


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("{name: a, block: [inverted], width: 24, ratio: 3}", "a: block .one of "),
        ("{name: a, block: inverted, width: 24, ratio: three}", "a: inverted: ratio is 'three', expected a number"),
        ("{name: a, block: inverted, width: 24, ratio: -3}", "ratio is -3, expected a number above 0"),
        ("{name: a, block: inverted, width: 24, ratio: .inf}", "ratio is inf"),
        ("{name: a, block: sandglass, width: 24, ratio: 0}", "ratio is 0, expected a whole number from 1 to 64"),
        ("{name: a, block: inverted, width: 0, ratio: 3}", "width is 0, expected a whole number from 1 to 16384"),
        ("{name: a, block: inverted, width: wide, ratio: 3}", "width is 'wide'"),
        ("{name: a, block: inverted, width: 24, ratio: 3, kernel: 4}", "kernel is 4, expected an odd number"),
        ("{name: a, block: inverted, width: 24, ratio: 3, kernel: true}", "kernel is True"),
        ("{name: a, block: inverted, width: 24, ratio: 3, activation: relu}", "one of re, r6, hs, li"),
        (
            "{name: a, block: inverted, width: 24, ratio: 3, squeeze: no}",
            "squeeze is False, expected one of none, hard",
        ),
        ("{name: a, block: inverted, width: 24, ratio: 3, se: 4}", "unknown field 'se', a stage can have activation"),
        ("{name: a, block: inverted, width: 24, ratio: 3, identity: 2}", "a share from 0 to 1"),
        ("{name: a, block: inverted, width: 24, ratio: 3, identity: [1/2, 0.5]}", "distinct"),
        ("{name: a, block: inverted, width: 24, ratio: 3, basis: output}", "one of input, ends"),
        ("{name: a, block: inverted, width: 24, ratio: 3, multiplier: -1}", "multiplier is -1"),
        ("{name: a, block: inverted, width: 24, ratio: 3, first: {kernels: 3}}", "first: unknown field 'kernels'"),
        ("{name: a, options: {inverted: {width: 24, ratio: 3, first: {depthwise: both}}}}", "first: inverted has no"),
        ("{name: a, options: {}}", "options: expected at least one of"),
        ("{name: a, blocks: [[ir]]}", "block 1: expected a text"),
        ("{name: a, block: inverted, width: 24, ratio: 3, stride: 3}", "stride: .*from 1 to 2"),
    ],
)
def test_a_field_that_cannot_be_is_refused_with_what_could(tmp_path, stage, message):
    with pytest.raises(UserError, match=message) as refused:
        load(tmp_path, with_stage(stage))
    assert "space.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("per_layer: kernel_size", "per_layer: 'kernel_size' is not chosen layer by layer, expected of activation"),
        ("per_layer: [width]", "'width' is not chosen layer by layer"),
        ("classes: [10, 100]", "classes: expected one number"),
        ("about: [a, b]", "about: expected a text"),
        ("resolution: 0", "resolution: '0' is not a whole number from 1"),
    ],
)
def test_a_field_of_the_file_that_cannot_be_is_refused(tmp_path, line, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, f"{HEAD}{line}\nstages:\n  - {{name: a, block: inverted, width: 24, ratio: 3}}\n")


def test_the_stem_is_blamed_for_the_stem(tmp_path):
    with pytest.raises(UserError, match=r"space\.yaml: stem: .*stem_k3_s2_c16_hs"):
        load(tmp_path, with_stage("{name: a, block: inverted, width: 24, ratio: 3}").replace("_s2_c16", ""))


@pytest.mark.parametrize("name", space_names())
def test_a_printed_space_is_the_same_space(name, tmp_path):
    space = load(tmp_path, space_text(name))
    assert str(space) == str(load_space(name))


WORDS = [
    *sorted(KINDS),
    "none",
    "0",
    "-1",
    "1e9",
    ".nan",
    "[]",
    "{}",
    "null",
    "true",
    "[1, 1]",
    "'",
    "{a: b}",
    "hs",
    "1/0",
    "99999",
]


def mutated(text: str, rng: random.Random) -> str:
    """Change a text in a few places: characters, words, lines."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text))
        kind = rng.randrange(5)
        if kind == 0:
            text = text[:at] + rng.choice(string.printable) + text[at + rng.randint(0, 1) :]
        elif kind == 1:
            words = text.split(" ")
            words[rng.randrange(len(words))] = rng.choice(WORDS)
            text = " ".join(words)
        elif kind == 2:
            lines = text.splitlines()
            lines.insert(rng.randrange(len(lines)), rng.choice(lines))
            text = "\n".join(lines)
        elif kind == 3:
            text = text[:at] + text[at + rng.randint(1, 30) :] or " "
        else:
            start = text.find(": ", at)
            if start > 0:
                end = (
                    min(x for x in (text.find(c, start + 2) for c in ",}\n") if x > 0)
                    if "\n" in text[start:]
                    else start
                )
                text = f"{text[: start + 2]}{rng.choice(WORDS)}{text[end:]}"
    return text


def survive(tmp_path: Path, count: int, seed: int) -> int:
    """Read mutated files; each is a space or a UserError, within a second. Returns how many were spaces."""
    texts = [with_stage("{name: a, block: inverted, width: [24, 32], depth: [1, 2], kernel: [3, 5], ratio: [3, 6]}")]
    texts += [space_text(name) for name in ("mobilenetv3", "mobile")]
    rng, sound = random.Random(seed), 0
    for number in range(count):
        text = mutated(texts[number % len(texts) if number % 10 == 0 else 0], rng)
        start = time.process_time()
        try:
            load(tmp_path, text)
            sound += 1
        except UserError as error:
            assert len(str(error)) < 1500
        assert time.process_time() - start < 1, text
    return sound


def test_mutated_files_are_spaces_or_refused(tmp_path):
    assert 0 < survive(tmp_path, 400, seed=0) < 400


@pytest.mark.slow
def test_many_mutated_files_are_spaces_or_refused(tmp_path):
    survive(tmp_path, 10_000, seed=1)
