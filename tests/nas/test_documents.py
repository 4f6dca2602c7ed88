"""Commands in the documents exist, with the options they are shown with."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from nas.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("runs/**/*.md")])


def shown_commands() -> list[tuple[str, str, bool]]:
    """Return (document, command line, whole) for every `nas ...` line in a code block and every such span of text.

    A span may name a single option, so it need not be whole.
    """
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = re.findall(r"^(?:    |\$ )(?:\S*/)?(nas [^\n]+)", text, re.MULTILINE)
        spans = re.findall(r"`(nas [a-z]+ [^`\n]*--[^`\n]+)`", text)
        found += [(document.name, line.split("  #")[0].strip(), True) for line in lines]
        found += [(document.name, span, False) for span in spans]
    return found


@pytest.mark.parametrize(("document", "line", "whole"), sorted(set(shown_commands())))
def test_documented_command_is_understood(document: str, line: str, whole: bool) -> None:
    words = [word for word in shlex.split(line.replace("…", "...")) if word not in ("...", "&&")][1:]
    command = get_command(app.app)
    context = command.make_context("nas", [], resilient_parsing=True)
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, words)
        context = typer.Context(command, info_name=name, parent=context)
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = [word.split("=")[0] for word in words if word.startswith("-") and len(word) > 1]
    assert set(given) - {"--help"} <= known
    needed = {p.opts[0] for p in command.params if p.required and p.opts[0].startswith("--")}
    assert not whole or needed <= set(given), f"{document}: {line} lacks a required option"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert not missing
