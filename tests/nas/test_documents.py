"""Commands in the documents exist, with the options they are shown with, and print what the documents say."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.main import get_command

from nas.cli import app
from nas.predictor import load_accuracy_table, shipped_predictor
from searchspace.space import load_space, space_names

ROOT = Path(__file__).parents[2]


def benchmark(name: str) -> ModuleType:
    """Return a script of `benchmarks/`, which is no package, as a module."""
    specification = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


documents = benchmark("documents")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("runs/**/*.md")])


def test_published_accuracies_in_int8_are_those_of_the_file(shared_data: Path):
    page = (ROOT / "docs/using-the-model.md").read_text()
    for row in benchmark("published_int8").rows(shared_data / "accuracy" / "aihub_on_device_accuracy.csv"):
        assert row in page


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
    assert not whole or needed <= set(given) or "--resume" in given, f"{document}: {line} lacks a required option"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert not missing


def marked_texts() -> list[tuple[str, str, str]]:
    """Return (page, command, text) for all that pages mark as printed by a command."""
    return [
        (str(page.relative_to(ROOT)), command, text)
        for page in documents.pages()
        for command, text in documents.marked(page)
    ]


@pytest.mark.parametrize(("page", "command", "text"), marked_texts())
def test_a_page_shows_what_its_command_prints(page: str, command: str, text: str) -> None:
    assert text == documents.printed(command), f"{page} is stale: python benchmarks/documents.py --write"


def table_rows(page: str, columns: int) -> dict[str, list[str]]:
    """Return the rows of a page's tables of so many columns, by their first cell."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip().strip("`*") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0]: row[1:] for row in rows if len(row) == columns}


@pytest.mark.parametrize("space", ["mobilenetv3", "mnasnet"])
def test_predictor_figures(space: str) -> None:
    """`nas predictor show`."""
    found = shipped_predictor(space).left_out
    source, kendall, spearman, error = table_rows("docs/search.md", 5)[space]
    assert f"{shipped_predictor(space).rows:,} " in source
    assert (kendall, spearman, error) == (f"{found.kendall:.3f}", f"{found.spearman:.3f}", f"{found.mae:.2f} points")


@pytest.mark.parametrize("model", ["linear in one-hot choices", "boosted trees, on choices and sums over units"])
def test_models_that_led_to_the_predictor(model: str, shared_data: Path) -> None:
    """`python benchmarks/predictor_models.py`, two of its rows."""
    models = benchmark("predictor_models")
    table = load_accuracy_table(shared_data / "accuracy" / "mobilenetv3_space_imagenet_supernet.csv")
    (stated,) = table_rows("docs/search.md", 2)[model]
    assert stated.split(" / ")[0] == f"{models.left_out_tau(models.MODELS[model], table):.3f}"


@pytest.mark.parametrize("space", space_names())
def test_sizes_of_spaces(space: str) -> None:
    """`nas spaces`."""
    (stated, _) = table_rows("docs/supernet.md", 3)[space]
    count = load_space(space).count()
    assert stated == (f"{count:,}" if count < 1e6 else f"{count:.1e}".replace("e+", "e")) or float(
        stated.replace(",", "")
    ) == pytest.approx(count, rel=0.05)


RUNS = sorted(path.parent.name for path in ROOT.glob("runs/netadapt_*/result.json"))


@pytest.mark.parametrize("run", RUNS)
def test_pages_of_slimming_runs_show_their_results(run: str) -> None:
    """`result.json`, which `nas netadapt` wrote."""
    page = (ROOT / "runs" / run / "README.md").read_text(encoding="utf-8")
    result = json.loads((ROOT / "runs" / run / "result.json").read_text(encoding="utf-8"))
    for accuracy in result["accuracy"]:
        shown = {f"{accuracy['test_top1']:.{digits}f} %" for digits in (1, 2)}
        assert any(text in page for text in shown), f"{run}: {accuracy['method']}, {accuracy['kind']}"
    assert any(f"{result['latency_ms']:.{digits}f} ms" in page for digits in (1, 2))


def test_the_gain_over_uniform_width_is_that_of_the_run() -> None:
    result = json.loads((ROOT / "runs/netadapt_mnasnet_a1/result.json").read_text(encoding="utf-8"))
    top1 = {entry["method"]: entry["test_top1"] for entry in result["accuracy"]}
    page = (ROOT / "docs/netadapt.md").read_text(encoding="utf-8")
    assert f"ends {top1['netadapt'] - top1['uniform width']:.2f} points above uniform" in page
