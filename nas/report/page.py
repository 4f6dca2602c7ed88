"""A report page: one HTML file with everything inline, readable offline, on paper and in the dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from searchspace.blocks import block_families

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number at the top of a page: what it is, its value with unit, and what it is compared with."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a page: `body` is safe markup from `nas.report.sections`, `note` a sentence below it."""

    title: str
    body: Markup
    note: str = ""


def render_page(
    *,
    title: str,
    subtitle: str,
    figures: Sequence[Figure],
    sections: Sequence[Section],
    footer: str,
    refresh_seconds: int | None = None,
) -> str:
    """Return the HTML text of a page; all plain text is escaped, the same content gives the same bytes.

    With `refresh_seconds` a browser loads the page again that often: for a job that still runs.
    """
    page = _template().render(
        title=title,
        subtitle=subtitle,
        figures=figures,
        sections=sections,
        footer=footer,
        refresh_seconds=refresh_seconds,
        block_colours=_block_colours(),
    )
    return f"{page.rstrip()}\n"


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def _block_colours() -> Markup:
    """Return the colours of the block families as CSS variables, named by `css_name`."""
    from markupsafe import Markup

    families = (block.family for block in block_families())
    return Markup(" ".join(f"--{css_name(family.name)}: {family.colour};" for family in families))


def css_name(block: str) -> str:
    """Return the name of a kind of layer as CSS has it."""
    return block.replace(" ", "-")
