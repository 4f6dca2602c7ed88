"""MobileNeXt (Zhou et al., ECCV 2020, arXiv 2007.02269) as a pipeline."""

from __future__ import annotations

from nas.jobs.reproduce.mobilenext_cells import run_cells
from nas.jobs.reproduce.pipeline import Experiment, Stage

MOBILENEXT = Experiment(
    name="mobilenext",
    title="MobileNeXt, recreated",
    about="The sandglass block: as an operation of a cell search, against the inverted residual, and where a search "
    "for phones puts it.",
    stages=(Stage("cells", "Table 13: sandglass and inverted residual in the space of DARTS", run_cells),),
)
