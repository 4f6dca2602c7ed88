"""The `nas` command: every subcommand by name, none of them imported until it runs."""

from __future__ import annotations

import inspect
import re
import signal
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import nas
from nas.cli._registry import COMMANDS, GROUPS, CommandEntry

HELP = """Find the neural network that fits your phone.

[bold]Start here[/bold], no data set and no phone needed:

  nas search --budget 60ms --device pixel

[bold]Then[/bold]

  nas show runs/NAME
  nas latency runs/NAME mobilenet_v3_large --device pixel
  nas train runs/NAME --data cifar10:PATH
  nas netadapt runs/NAME --target 51ms --device pixel --data cifar10:PATH

NETWORK is a reference name (mobilenet_v3_large, mobilenet_v2_0.75@160), a YAML file, a run folder, or the compact
text that `nas show` prints. Every command takes --json.
"""


class LazyGroup(TyperGroup):
    """A group that lists commands from the registry and imports a command's module when it is called."""

    # `Any`: typer's context and command classes have moved between its releases.

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the help page, with the first line of each command's docstring beside its name."""
        for entry in COMMANDS:
            if entry.group == self._group and entry.name in self.commands:
                self.commands[entry.name].help = entry.summary
        super().format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command named by the first argument and import its module."""
        name, command, rest = super().resolve_command(ctx, args)
        for entry in COMMANDS:
            if (entry.group, entry.name) == (self._group, name):
                return name, _built(entry), rest
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand; what goes wrong in it is told as `reported_errors` does."""
        from nas.cli._errors import reported_errors  # with `searchspace`, which no help page of a group needs

        with reported_errors():
            return super().invoke(ctx)

    @property
    def _group(self) -> str:
        return self.name if self.name in GROUPS else ""


def _built(entry: CommandEntry) -> Any:
    single = typer.Typer(add_completion=False, rich_markup_mode="rich")
    function = entry.load()
    single.command(entry.name, help=help_page(inspect.getdoc(function) or entry.summary))(function)
    return typer.main.get_command(single)


def help_page(text: str) -> str:
    """Return a docstring as typer shows it, with the indented lines of its examples kept as they are.

    Typer joins the lines of a paragraph unless it begins with a backspace character.
    """
    paragraphs: list[str] = []
    for paragraph in re.split(r"\n{2,}", text.strip("\n")):
        if not paragraph.startswith("  "):
            paragraphs.append(" ".join(paragraph.splitlines()))
        elif paragraphs and paragraphs[-1].startswith("\b"):
            paragraphs[-1] += f"\n{paragraph}"
        else:
            paragraphs.append(f"\b{paragraph}")
    return "\n\n".join(paragraphs)


def _help_stand_in(entry: CommandEntry) -> Any:
    """Return a function that stands for the command in a help page."""

    def stand_in() -> None:
        raise AssertionError(f"{entry.name} is loaded by LazyGroup before it runs")

    return stand_in


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nas {nas.__version__}")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Hold the options that stand before the subcommand."""


def _assemble() -> typer.Typer:
    settings: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": "rich", "cls": LazyGroup}
    root = typer.Typer(name="nas", pretty_exceptions_enable=False, **settings)
    root.callback(help=help_page(HELP))(_root)
    groups = {"": root}
    for name, (panel, summary) in GROUPS.items():
        groups[name] = typer.Typer(name=name, help=summary, **settings)
        root.add_typer(groups[name], name=name, rich_help_panel=panel)
    for entry in COMMANDS:
        groups[entry.group].command(entry.name, rich_help_panel=entry.panel)(_help_stand_in(entry))
    return root


app = _assemble()
"""The typer application; the console script calls it."""


def main() -> None:
    """Run the command line; a request to terminate saves and ends as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(prog_name="nas")
    finally:
        # Everything is saved: a further request ends the process at once, without a traceback from an exit handler.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
