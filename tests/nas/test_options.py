"""Options made from settings: what a help page shows, what a command is given, how a run goes on alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from nas.cli._errors import reported_errors
from nas.cli._options import Given, options_from
from nas.options import BUDGET, DATA, Internal, Option, options_of
from searchspace.support.quantities import parse_duration_ms


@dataclass(frozen=True, kw_only=True)
class Lunch:
    dish: Annotated[str, Option("What to eat.", metavar="DISH", argument=True)]
    guests: Annotated[int, Option("How many eat.", panel=DATA, metavar="N", least=1)]
    wait_ms: Annotated[float | None, Option("How long.", panel=BUDGET, names="--wait", parser=parse_duration_ms)] = None
    spices: Annotated[tuple[str, ...], Option("Repeatable.", panel=DATA)] = ()
    seconds: Annotated[int, Option("Helpings.", panel=DATA, otherwise="as many as guests")] = 7
    salted: Annotated[bool, Option("With salt.", names="--salted/--bland", panel=DATA)] = True
    hot: Annotated[bool, Option("With pepper.", panel=DATA)] = False
    cook: Annotated[str, Internal("The house knows.")] = "Ada"


@dataclass(frozen=True, kw_only=True)
class Going:
    guests: Annotated[int, Option("Asked for once.")] = 3
    resume: Annotated[bool, Option("Go on.", frees=True)] = False


def called(*words: str, status: int = 0, **changed: Any) -> tuple[list[Any], str]:
    seen: list[Any] = []

    @options_from(Lunch, Going, **changed)
    def lunch(given: Given, loud: Annotated[bool, typer.Option("--loud", help="Louder.")] = False) -> None:
        """Eat."""
        with reported_errors():
            seen.extend([given, loud, given.make(Lunch)])

    app = typer.Typer(add_completion=False)
    app.command()(lunch)
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "80"})
    assert result.exit_code == status, result.output
    return seen, result.output


def test_options_have_the_default_help_and_place_of_their_field() -> None:
    _, text = called("--help")
    assert text.index("Budget") < text.index("--wait") < text.index("Data") < text.index("--guests")
    assert "[default: (as many as guests)]" in text and "[default: 7]" not in text
    assert "[default: salted]" in text and "--bland" in text and "x>=1" in text
    assert "--cook" not in text and text.count("--guests") == 1 and "How many eat." in text


def test_a_command_may_say_it_in_its_own_words() -> None:
    _, text = called("--help", guests={"help": "Whoever comes.", "panel": BUDGET})
    assert "Whoever comes." in text and "How many eat." not in text


def test_what_was_not_given_is_the_settings_default() -> None:
    (given, loud, settings), _ = called("soup", "--guests", "2", "--wait", "60ms", "--spices", "a", "--spices", "b")
    assert settings == Lunch(dish="soup", guests=2, wait_ms=60.0, spices=("a", "b"))
    assert not loud and given["seconds"] is None and given.make(Going) == Going(guests=2)
    assert given.written() == "DISH, --wait, --guests, --spices"
    assert (
        given.written(["guests", "hot"]) == "--guests"
        and given.written(but=["dish", "guests", "wait_ms"]) == "--spices"
    )
    assert given.make(Lunch, dish="stew").dish == "stew"


def test_what_is_required_is_asked_for_unless_a_run_goes_on() -> None:
    assert "--guests" in called("soup", status=2)[1]
    assert "than or equal to 1" in called("soup", "--guests", "0", status=2)[1]
    assert "--guests is missing" in called("soup", "--resume", status=2)[1]
    assert "write 60ms" in called("soup", "--guests", "1", "--wait", "60", status=2)[1]


def test_a_field_that_says_nothing_is_refused() -> None:
    @dataclass
    class Silent:
        size: int = 3

    with pytest.raises(TypeError, match=r"Silent\.size"):
        options_of(Silent)

    @dataclass
    class Odd:
        sizes: Annotated[dict[str, int] | None, Option("By name.")] = None

    with pytest.raises(TypeError, match="an option cannot be"):
        options_from(Odd)(lambda given: None)
