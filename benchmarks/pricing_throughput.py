"""How fast a compiled table prices networks: batched on one core, and one at a time.

    OMP_NUM_THREADS=1 python benchmarks/pricing_throughput.py [--device pixel] [--networks 1000000]

Prints, for every search space: seconds to compile, millions of networks a second of `latency_ms` and of `interval_ms`
(best of five batches), microseconds for one network at a time, and in how many of 300 networks the compiled latency and
interval differ in any bit from `predict` on the decoded network. Seconds are processor time of the one core.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

# One core: the matrix product that finds table cells would otherwise use all of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from latency_lut import LatencyTable, predict
from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from searchspace.choices import Genotypes
from searchspace.space import load_space, space_names

_REPEATS = 5
_COMPARED = 300
_SINGLES = 2000


def best_seconds(run: Callable[[], object]) -> float:
    """Return the shortest of some runs, in seconds."""
    seconds = []
    for _ in range(_REPEATS):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def differing(compiled: CompiledCost, genotypes: Genotypes) -> int:
    """Count the networks whose compiled latency or interval is not that of `predict` to the bit."""
    latency_ms = compiled.latency_ms(genotypes)
    low_ms, high_ms = compiled.interval_ms(genotypes)
    count = 0
    for i, genotype in enumerate(genotypes):
        single = predict(compiled.table, compiled.space.decode(genotype), allow_extrapolation=True)
        count += (single.latency_ms, single.low_ms, single.high_ms) != (latency_ms[i], low_ms[i], high_ms[i])
    return count


def row_of(name: str, table: LatencyTable, networks: int) -> str:
    """Measure one space; return its line of the printed table."""
    space = load_space(name)
    start = time.process_time()
    compiled = CompiledCost(space, table, allow_extrapolation=True)
    compile_s = time.process_time() - start
    genotypes = space.sample(np.random.default_rng(0), networks)
    singles = genotypes[:_SINGLES, None]
    latency_s = best_seconds(lambda: compiled.latency_ms(genotypes))
    interval_s = best_seconds(lambda: compiled.interval_ms(genotypes))
    single_s = best_seconds(lambda: [compiled.latency_ms(genotype) for genotype in singles]) / len(singles)
    return (
        f"{name:<14}{len(space.choices):>8}{compile_s:>11.2f}{networks / latency_s / 1e6:>13.1f}"
        f"{networks / interval_s / 1e6:>14.1f}{single_s * 1e6:>8.1f}{differing(compiled, genotypes[:_COMPARED]):>10}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="pixel")
    parser.add_argument("--networks", type=int, default=1_000_000)
    arguments = parser.parse_args()
    table = load_device(arguments.device)
    print(f"{table.name}: {arguments.networks:,} networks a batch, one core, best of {_REPEATS}")
    columns = "choices", "compile s", "latency M/s", "interval M/s", "one us", "bits off"
    print("{:<14}{:>8}{:>11}{:>13}{:>14}{:>8}{:>10}".format("space", *columns))
    for name in space_names():
        print(row_of(name, table, arguments.networks))


if __name__ == "__main__":
    main()
