"""How long the table of this machine takes, and how far its predictions lie from networks timed afterwards.

    OMP_NUM_THREADS=1 python benchmarks/host_table.py [--space mobile] [--grid 1.5] [--networks 30] [--precision int8]

Prints: ops measured and wanted, minutes, the share of building models, the error of interpolated ops (each left out in
turn), the error of networks left out of the fit, and, on fresh random networks, mean error, bias and coverage of the
90 % interval. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from latency_lut import LatencyTable, Precision
from latency_lut.measure import plan
from latency_lut.measure.assemble import assemble
from latency_lut.measure.backend import Task, build_model
from latency_lut.measure.endtoend import random_networks, validate_on_device
from latency_lut.measure.host import Host
from latency_lut.measure.journal import Journal
from latency_lut.measure.rounds import measure
from searchspace.reference import reference, reference_names
from searchspace.space import load_space

_FIT_SEED, _CHECK_SEED = 190502244, 0
_FIT_NETWORKS = 32


def measured_table(host: Host, tasks: list[Task], precision: Precision) -> LatencyTable:
    """Measure all tasks from scratch and return the table."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "benchmark.partial", {})
        measure(host, tasks, precision, journal)
        journal.close()
    return assemble(journal.measurements, host.facts(), host.conditions(), precision, 224)


def main() -> None:
    """Measure, validate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="mobile")
    parser.add_argument("--grid", type=float, default=1.0)
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--precision", type=Precision, default=Precision.FLOAT32)
    options = parser.parse_args()

    references = [reference(name) for name in reference_names()]
    wanted = plan.space_ops(load_space(options.space)) | plan.network_ops(references)
    ops = plan.sampled(wanted, options.grid)
    tasks: list[Task] = [*ops, *random_networks(options.space, _FIT_NETWORKS, _FIT_SEED).values()]
    start = time.perf_counter()
    for task in tasks:
        build_model(task, options.precision)
    build_s = time.perf_counter() - start
    with Host() as host:
        start = time.perf_counter()
        table = measured_table(host, tasks, options.precision)
        minutes = (time.perf_counter() - start) / 60
        fresh = random_networks(options.space, options.networks, _CHECK_SEED)
        scores = validate_on_device(table, host, fresh).scores()
    made, left_one_out = table.provenance, table.leave_one_out_error()
    print(f"{options.space}: {len(ops)} of {len(wanted)} ops and {_FIT_NETWORKS} networks in {minutes:.1f} min")
    print(f"building models: {build_s:.1f} s, {100 * build_s / (60 * minutes):.1f} % of that")
    print(f"ops left out of the grid: mean error {left_one_out.mean_abs_pct:.2f} %")
    print(f"networks left out of the fit: mean error {made.left_out_error_pct:.2f} %")
    print(
        f"{scores['count']} fresh networks: mean error {scores['mean_abs_pct']:.2f} %, bias {scores['bias_pct']:+.2f} %"
    )
    print(f"inside their 90 % interval (within {made.interval_pct:.2f} %): {scores['coverage_90_pct']:.0f} %")


if __name__ == "__main__":
    main()
