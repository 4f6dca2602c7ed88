"""Which commands exist and where they live, so that `nas --help` imports none of them.

Each command is a plain function with typer annotations. A new command is one line in `COMMANDS`; its module is
imported only when the command runs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
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
    summary: str

    def load(self) -> Callable[..., Any]:
        """Import the command's module and return its function."""
        function: Callable[..., Any] = getattr(importlib.import_module(self.module), self.function)
        return function

    def exists(self) -> bool:
        """Whether the command's module is there, found without importing it."""
        return importlib.util.find_spec(self.module) is not None


GROUPS = {
    "lut": (TRUST, "Latency tables: measure, calibrate, validate, convert."),
    "predictor": (TRUST, "Accuracy predictor: what it rests on, how well it ranks."),
}

COMMANDS = (
    CommandEntry("", "show", "nas.cli.show", "show", LOOK, "Layers, parameters and multiply-adds of a network."),
    CommandEntry("", "latency", "nas.cli.latency", "latency", LOOK, "Predicted latency on a phone, by layer."),
    CommandEntry("", "spaces", "nas.cli.spaces", "spaces", LOOK, "The search spaces and how many networks each holds."),
    CommandEntry(
        "",
        "devices",
        "nas.cli.devices",
        "devices",
        LOOK,
        "The phones with a table, and how far to trust each.",
    ),
    CommandEntry(
        "",
        "search",
        "nas.cli.search",
        "search",
        FIND,
        "Find the most accurate network within a latency budget.",
    ),
    CommandEntry(
        "",
        "train",
        "nas.cli.train",
        "train",
        FIND,
        "Train a network on images, test it once on images it never saw, and export it with its weights.",
    ),
    CommandEntry(
        "",
        "netadapt",
        "nas.cli.netadapt",
        "netadapt",
        FIND,
        "Slim a trained network, width by width, until a phone's latency (or its multiply-adds or parameters) fits.",
    ),
    CommandEntry("", "rank", "nas.cli.rank", "rank", TRUST, "How well the supernet ranks networks."),
    CommandEntry(
        "lut",
        "measure",
        "nas.cli.lut_measure",
        "measure",
        TRUST,
        "Measure a table on this machine or a phone.",
    ),
    CommandEntry(
        "lut",
        "calibrate",
        "nas.cli.lut_calibrate",
        "calibrate",
        TRUST,
        "Infer a table from blocks and networks.",
    ),
    CommandEntry(
        "lut", "validate", "nas.cli.lut_validate", "validate", TRUST, "Compare predictions with measurements."
    ),
    CommandEntry("lut", "import", "nas.cli.lut_convert", "import_table", TRUST, "Read another project's table."),
    CommandEntry("lut", "export", "nas.cli.lut_convert", "export_table", TRUST, "Write a table for another project."),
    CommandEntry(
        "predictor",
        "show",
        "nas.cli.predictor",
        "show",
        TRUST,
        "What a predictor rests on, and its error on networks left out of the fit.",
    ),
    CommandEntry(
        "predictor",
        "score",
        "nas.cli.predictor",
        "score",
        TRUST,
        "Predicted top-1 of networks, or of the members of the space nearest to them.",
    ),
    CommandEntry(
        "predictor",
        "fit",
        "nas.cli.predictor",
        "fit",
        TRUST,
        "Fit a predictor to a table of accuracies; the same table and seed give the same file.",
    ),
    CommandEntry(
        "predictor",
        "validate",
        "nas.cli.predictor",
        "validate",
        TRUST,
        "Score the predictor on networks of known accuracy.",
    ),
)
