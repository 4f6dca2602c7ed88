"""`nas spaces`: the search spaces that ship with the package."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from nas.cli._common import JsonOption, output_console, print_json
from searchspace.space import SearchSpace, load_space, space_names, space_text
from searchspace.support.errors import UserError

SpaceArgument = Annotated[
    str | None, typer.Argument(metavar="[SPACE]", help="Show every choice of this one: a name or a YAML file.")
]


YamlOption = Annotated[bool, typer.Option("--yaml", help="Print the space's file, to start one of your own from.")]


def spaces(space: SpaceArgument = None, yaml: YamlOption = False, json: JsonOption = False) -> None:
    """The search spaces and how many networks each holds.

    A space of your own is a YAML file; give its path where a command takes --space. `docs/spaces.md` says what can
    stand in it.

    [bold]Examples[/bold]

      nas spaces
      nas spaces mobilenext
      nas spaces mobilenetv3 --yaml > my_space.yaml
      nas spaces my_space.yaml
      nas spaces around:mobilenet_v2               smaller forms of one network, block by block
      nas search --space mnasnet --budget 70ms --device pixel
    """
    if yaml:
        if space is None or json:
            raise UserError("--yaml prints the file of one space: nas spaces NAME --yaml, without --json")
        typer.echo(space_text(space), nl=False)
        return
    if space is not None:
        chosen = load_space(space)
        print_json(_document(chosen)) if json else typer.echo(str(chosen))
        return
    found = [load_space(name) for name in space_names()]
    if json:
        print_json({"spaces": [_document(one) for one in found]})
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("space", style="bold", no_wrap=True)
    table.add_column("networks", justify="right", no_wrap=True)
    table.add_column("choices", justify="right", no_wrap=True)
    table.add_column("what it is")
    for one in found:
        # The first clause says which space it is; the rest is for those who ask for one space.
        about = re.split(r"[.:] ", one.spec.about, maxsplit=1)[0]
        table.add_row(one.name, f"{one.count():.2g}", str(len(one.choices)), about)
    output_console().print(table)


def _document(space: SearchSpace) -> dict[str, Any]:
    return {
        "name": space.name,
        "about": space.spec.about,
        "networks": space.count(),
        "choices": [{"path": choice.path, "values": [str(v) for v in choice.values]} for choice in space.choices],
    }
