"""`nas spaces`: the search spaces that ship with the package."""

from __future__ import annotations

from typing import Any

from nas.cli._common import JsonOption, output_console, print_json
from searchspace.space import SearchSpace, load_space, space_names


def spaces(json: JsonOption = False) -> None:
    """The search spaces and how many networks each holds.

    A space of your own is a YAML file; give its path where a command takes --space.

    [bold]Examples[/bold]

      nas spaces\n
      nas search --space mnasnet --budget 70ms --device pixel\n
    """
    found = [load_space(name) for name in space_names()]
    if json:
        print_json({"spaces": [_document(space) for space in found]})
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("space", style="bold", no_wrap=True)
    table.add_column("networks", justify="right", no_wrap=True)
    table.add_column("choices", justify="right", no_wrap=True)
    table.add_column("what it is")
    for space in found:
        table.add_row(space.name, f"{space.count():.2g}", str(len(space.choices)), space.spec.about)
    output_console().print(table)


def _document(space: SearchSpace) -> dict[str, Any]:
    return {
        "name": space.name,
        "about": space.spec.about,
        "networks": space.count(),
        "choices": [{"path": choice.path, "values": [str(v) for v in choice.values]} for choice in space.choices],
    }
