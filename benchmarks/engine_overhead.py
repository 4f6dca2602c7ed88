"""What an engine adds to trials of a known length: ideal time is trials x seconds / workers.

    python benchmarks/engine_overhead.py --seconds 10 --trials 8

A trial sleeps, so that only the engine is measured. Workers are started and warmed by one short trial each before.
"""

from __future__ import annotations

import argparse
import time

from nas.engines import open_engine
from nas.engines.testing import sleep


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--trials", type=int, default=8)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--engines", nargs="+", default=["in-process", "pool", "ray"])
    chosen = options.parse_args()
    print(f"{'engine':11} {'workers':>7} {'start':>7} {'ideal':>8} {'taken':>8} {'overhead':>9}")
    for name in chosen.engines:
        before = time.monotonic()
        with open_engine(name, workers=chosen.workers if name == "pool" else None) as engine:
            workers = min(engine.slots, chosen.workers)
            engine.map(sleep, [0.01] * workers, names=["warm"] * workers, shared=None, held=True)
            started = time.monotonic()
            names = [f"trial {index}" for index in range(chosen.trials)]
            engine.map(sleep, [chosen.seconds] * chosen.trials, names=names, shared=None, held=True)
            taken = time.monotonic() - started
        ideal = chosen.seconds * -(-chosen.trials // workers)
        print(f"{name:11} {workers:7} {started - before:6.1f}s {ideal:7.1f}s {taken:7.2f}s {taken / ideal - 1:9.2%}")


if __name__ == "__main__":
    main()
