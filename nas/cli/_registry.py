"""Which commands exist and where they live, so that `nas --help` imports none of them.

Each command is a plain function with typer annotations. A new command is one line in `COMMANDS`; its module is
imported only when the command runs.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOOK = "Look at networks, spaces and phones"
FIND = "Find, train and slim networks"
TRUST = "Check what the answers rest on"


@dataclass(frozen=True)
class CommandEntry:
    """One command: `group` is empty for `nas NAME` and "lut" for `nas lut NAME`."""

    group: str
    name: str
    module: str
    function: str
    panel: str

    def load(self) -> Callable[..., Any]:
        """Import the command's module and return its function."""
        function: Callable[..., Any] = getattr(importlib.import_module(self.module), self.function)
        return function

    @property
    def summary(self) -> str:
        """The first line of the function's docstring, read without importing its module."""
        spec = importlib.util.find_spec(self.module)
        assert spec is not None and spec.origin is not None
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == self.function)
        return (ast.get_docstring(function) or self.name).splitlines()[0]


GROUPS = {
    "cells": (FIND, "Cells, as in DARTS: search them on images, train and show them."),
    "lut": (TRUST, "Latency tables: measure, calibrate, validate, convert."),
    "predictor": (TRUST, "Accuracy predictor: what it rests on, how well it ranks."),
}

COMMANDS = (
    CommandEntry("", "show", "nas.cli.show", "show", LOOK),
    CommandEntry("", "latency", "nas.cli.latency", "latency", LOOK),
    CommandEntry("", "spaces", "nas.cli.spaces", "spaces", LOOK),
    CommandEntry("", "devices", "nas.cli.devices", "devices", LOOK),
    CommandEntry("", "search", "nas.cli.search", "search", FIND),
    CommandEntry("", "train", "nas.cli.train", "train", FIND),
    CommandEntry("", "netadapt", "nas.cli.netadapt", "netadapt", FIND),
    CommandEntry("", "redesign", "nas.cli.redesign", "redesign", FIND),
    CommandEntry("", "export", "nas.cli.export", "export", FIND),
    CommandEntry("", "evaluate", "nas.cli.evaluate", "evaluate", TRUST),
    CommandEntry("", "runs", "nas.cli.runs", "runs", LOOK),
    CommandEntry("", "report", "nas.cli.report", "report", TRUST),
    CommandEntry("", "compare", "nas.cli.compare", "compare", TRUST),
    CommandEntry("", "rank", "nas.cli.rank", "rank", TRUST),
    CommandEntry("", "reproduce", "nas.cli.reproduce", "reproduce", TRUST),
    CommandEntry("cells", "search", "nas.cli.cells", "search", "Commands"),
    CommandEntry("cells", "train", "nas.cli.cells", "train", "Commands"),
    CommandEntry("cells", "show", "nas.cli.cells", "show", "Commands"),
    CommandEntry("lut", "measure", "nas.cli.lut_measure", "measure", "Commands"),
    CommandEntry("lut", "calibrate", "nas.cli.lut_calibrate", "calibrate", "Commands"),
    CommandEntry("lut", "validate", "nas.cli.lut_validate", "validate", "Commands"),
    CommandEntry("lut", "import", "nas.cli.lut_convert", "import_table", "Commands"),
    CommandEntry("lut", "export", "nas.cli.lut_convert", "export_table", "Commands"),
    CommandEntry("predictor", "show", "nas.cli.predictor", "show", "Commands"),
    CommandEntry("predictor", "score", "nas.cli.predictor", "score", "Commands"),
    CommandEntry("predictor", "fit", "nas.cli.predictor", "fit", "Commands"),
    CommandEntry("predictor", "validate", "nas.cli.predictor", "validate", "Commands"),
)
