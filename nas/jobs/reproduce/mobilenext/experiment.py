"""MobileNeXt (Zhou et al., ECCV 2020, arXiv 2007.02269) as a pipeline."""

from __future__ import annotations

from nas.jobs.reproduce.mobilenext.cells import run_cells
from nas.jobs.reproduce.mobilenext.equal_latency import run_equal_latency
from nas.jobs.reproduce.mobilenext.placement import run_placement
from nas.jobs.reproduce.mobilenext.tables import run_tables
from nas.jobs.reproduce.pipeline import Experiment, Stage

MOBILENEXT = Experiment(
    name="mobilenext",
    title="MobileNeXt, recreated",
    about="The sandglass block: its published networks, as an operation of a cell search, against the inverted "
    "residual, and where a search for phones puts it.",
    stages=(
        Stage("tables", "Table 3: widths of MobileNeXt and MobileNetV2", run_tables),
        Stage("cells", "Table 13: sandglass and inverted residual in the space of DARTS", run_cells),
        Stage("equal-latency", "Sandglass against inverted residual at equal latency", run_equal_latency),
        Stage("placement", "Where a search puts sandglasses", run_placement),
    ),
)
