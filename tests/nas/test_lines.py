"""Piped output: a line every so often with the time left, one at the end, nothing in between."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nas.cli._lines import TimedLines, in_words


def test_a_line_every_so_often_with_the_time_left():
    stream, now = io.StringIO(), [0.0]
    lines = TimedLines(Console(file=stream), "training", every_s=20, clock=lambda: now[0])
    for second in range(101):
        now[0] = float(second)
        lines.update(second, 100, "epoch 1")
    lines.update(100, 100)
    assert stream.getvalue().splitlines() == [
        "training: 20 %, about 80 s left, epoch 1",
        "training: 40 %, about 60 s left, epoch 1",
        "training: 60 %, about 40 s left, epoch 1",
        "training: 80 %, about 20 s left, epoch 1",
        "training: 100 %, took 100 s, epoch 1".replace("100 s", "2 min"),
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (720, "12 min"), (12_000, "3 h 20 min")]
)
def test_durations_as_people_say_them(seconds, words):
    assert in_words(seconds) == words


def test_a_step_before_anything_is_done_promises_nothing():
    stream, now = io.StringIO(), [0.0]
    lines = TimedLines(Console(file=stream), "x", clock=lambda: now[0])
    now[0] = 30.0
    lines.update(0, 1, "step 1, proposal 0 of 8")
    assert stream.getvalue().strip() == "x: 0 %, just begun, step 1, proposal 0 of 8"
