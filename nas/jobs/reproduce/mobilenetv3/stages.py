"""The stages of the MobileNetV3 experiment, in the paper's order."""

from __future__ import annotations

from nas.jobs.reproduce.mobilenetv3.ending import run_ending
from nas.jobs.reproduce.mobilenetv3.redesign import run_redesign
from nas.jobs.reproduce.mobilenetv3.search import run_search_stage
from nas.jobs.reproduce.mobilenetv3.slim import run_slimming
from nas.jobs.reproduce.mobilenetv3.tables import run_tables
from nas.jobs.reproduce.pipeline import Experiment, Stage

MOBILENETV3 = Experiment(
    name="mobilenetv3",
    title="MobileNetV3, recreated",
    about="From MnasNet's controller through NetAdapt and the redesign to the tables of the paper.",
    stages=(
        Stage("search", "Platform-aware search: MnasNet's controller and reward", run_search_stage),
        Stage("netadapt", "NetAdapt, from MnasNet-A1 and from the network found", run_slimming),
        Stage("redesign", "The redesign by hand, step by step", run_redesign),
        Stage("tables", "Tables 3, 4 and 5 of the paper, rebuilt", run_tables),
        Stage("end", "The network at the end, and the front of the space", run_ending),
    ),
)
