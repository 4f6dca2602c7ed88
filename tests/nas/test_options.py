"""Options made from settings: what a help page shows, what a command is given, how a run goes on alone."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from nas.cli._errors import reported_errors
from nas.cli._options import Given, options_from
from nas.cli.app import app as cli
from nas.jobs.cells.settings import CellSearchSettings, CellTrainSettings
from nas.jobs.compare.settings import CompareSettings
from nas.jobs.rank.settings import RankSettings
from nas.jobs.reproduce.settings import ReproduceSettings
from nas.jobs.search.settings import SearchSettings
from nas.jobs.slim.settings import SlimSettings
from nas.jobs.train.settings import DenseSettings, TrainSettings
from nas.options import BUDGET, DATA, PANELS, Internal, Option, options_of
from nas.supernets.settings import SupernetSettings
from searchspace.support.quantities import parse_duration_ms

ROOT = Path(__file__).parents[2]


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


JOBS = (
    SearchSettings, SupernetSettings, TrainSettings, DenseSettings, SlimSettings, RankSettings, CompareSettings,
    CellSearchSettings, CellTrainSettings, ReproduceSettings,
)  # fmt: skip
COMMANDS: dict[tuple[str, str], tuple[type[Any], ...]] = {
    ("search", "search"): (SearchSettings, SupernetSettings),
    ("train", "train"): (TrainSettings, DenseSettings),
    ("netadapt", "netadapt"): (SlimSettings,),
    ("rank", "rank"): (RankSettings, SupernetSettings),
    ("compare", "compare"): (CompareSettings,),
    ("reproduce", "reproduce"): (ReproduceSettings,),
    ("cells", "search"): (CellSearchSettings,),
    ("cells", "train"): (CellTrainSettings,),
}
WITHOUT_WINNER = {"winner_epochs", "from_scratch"}


def test_the_jobs_of_the_house_are_all_tried_here() -> None:
    homes = {path.parent.name for path in (ROOT / "nas" / "jobs").glob("*/settings.py")}
    assert homes == {one.__module__.split(".")[2] for one in JOBS if one.__module__.startswith("nas.jobs")} | {"export"}


@pytest.mark.parametrize("settings", JOBS, ids=lambda one: one.__name__)
def test_every_field_has_a_help_text_and_an_option_or_is_internal(settings: type[Any]) -> None:
    for name, (_, option, _) in options_of(settings).items():
        assert option.help.endswith((".", "...")), f"{settings.__name__}.{name}: {option.help}"
        if isinstance(option, Option):
            assert option.argument or option.panel in PANELS[1:], f"{settings.__name__}.{name} stands in no group"


@pytest.mark.parametrize(("module", "function"), COMMANDS)
def test_each_option_of_a_command_has_the_default_of_its_field(module: str, function: str) -> None:
    jobs = COMMANDS[module, function]
    parameters = inspect.signature(getattr(importlib.import_module(f"nas.cli.{module}"), function)).parameters
    wanted: set[str] = set()
    for job in jobs:
        for name, (_, option, field) in options_of(job).items():
            if isinstance(option, Option):
                wanted.add(name)
                default = parameters[name].default if name in parameters else None
                assert default in (None, inspect.Parameter.empty, field.default), name
    assert wanted - parameters.keys() == (WITHOUT_WINNER if module == "rank" else set())


def test_no_command_repeats_a_default_of_the_settings() -> None:
    """A literal default in a signature of `nas/cli` is of an option that no settings have."""
    known = {name for job in JOBS for name, (_, option, _) in options_of(job).items() if isinstance(option, Option)}
    repeated = []
    for module in {module for module, _ in COMMANDS}:
        tree = ast.parse((ROOT / "nas" / "cli" / f"{module}.py").read_text(encoding="utf-8"))
        for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
            defaults = function.args.defaults
            for argument, default in zip(
                function.args.args[-len(defaults) :] if defaults else (), defaults, strict=True
            ):
                if argument.arg in known and isinstance(default, ast.Constant) and default.value is not None:
                    repeated.append(f"{module}.{function.name}: {argument.arg}")
    assert not repeated


def test_modules_of_the_command_line_stay_readable() -> None:
    lengths = {
        path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "nas/cli").glob("*.py")
    }
    assert max(lengths.values()) <= 240, lengths  # about 200; the longest is `nas lut measure`


@pytest.mark.parametrize("words", ["search", "train", "netadapt", "rank", "reproduce", "compare", "cells search"])
@pytest.mark.parametrize("columns", [80, 120])
def test_long_help_stands_in_groups_without_a_cut_name(words: str, columns: int) -> None:
    text = CliRunner().invoke(cli, [*words.split(), "--help"], env={"COLUMNS": str(columns)}).output
    assert text.count("╭─") >= 5 and "… " not in text
    options = re.findall(r"(?m)^│[* ]+(--[\w-]+…?)", text)
    assert len(options) > 6 and not [name for name in options if name.endswith("…")]
    assert max(map(len, text.splitlines())) <= columns
