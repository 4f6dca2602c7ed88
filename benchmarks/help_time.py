"""Processor time of help pages: `python benchmarks/help_time.py [--against FOLDER]`.

Each page is shown several times in processes of their own, in turn with the same page of another checkout where one is
given, so that both meet the same load; the least time of each is compared.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("", "search", "train", "netadapt", "rank", "cells search", "reproduce")


def processor_seconds(root: Path, page: str) -> float:
    """Return user and system seconds of one `nas PAGE --help` of the checkout at `root`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "nas", *page.split(), "--help"],
        cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a line for each page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--times", type=int, default=7)
    given = parser.parse_args()
    roots = [ROOT] if given.against is None else [ROOT, given.against.resolve()]
    for page in PAGES:
        seconds = {root: [] for root in roots}
        for _ in range(given.times):
            for root in roots:
                seconds[root].append(processor_seconds(root, page))
        least = [min(one) for one in seconds.values()]
        beside = f", there {least[1]:.2f} s, ratio {least[0] / least[1]:.2f}" if len(least) > 1 else ""
        print(f"{f'nas {page}'.strip()} --help: {least[0]:.2f} s{beside}", flush=True)


if __name__ == "__main__":
    main()
