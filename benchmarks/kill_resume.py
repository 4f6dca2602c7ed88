"""Kill a search at random moments, resume it each time, and compare with one that was never interrupted.

    python benchmarks/kill_resume.py --kills 200 --strategies evolution ppo optuna:NSGAIISampler
    python benchmarks/kill_resume.py --kills 20 --engine ray --strategies evolution

The search, with everything that it started, is ended by SIGKILL; `nas search --resume RUN` goes on. When a run has come
to its end, its journal, result and front are compared byte for byte, and another run is begun until all kills are done.
The exit code is 1 where anything differs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = ("journal.jsonl", "result.json", "front.csv")
EVALUATIONS = {"evolution": 20_000, "ppo": 2_000}
ELSE_EVALUATIONS = 150  # Optuna's samplers


def command(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "nas", "search", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for a run to end well."""
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"a search ended with {process.returncode}: {errors.decode()[-2000:]}")


def killed(process: subprocess.Popen[bytes], after_s: float) -> bool:
    """Kill a run with what it started after so many seconds; return False where it had ended before."""
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    ended(process)
    return False


def check(strategy: str, kills: int, engine: str, rng: random.Random, place: Path) -> int:
    """Return how many of the runs that were killed differ from the one that was not."""
    evaluations = EVALUATIONS.get(strategy, ELSE_EVALUATIONS)
    start = [
        "--budget",
        "60ms",
        "--no-export",
        "--seed",
        "5",
        "--strategy",
        strategy,
        "--evaluations",
        str(evaluations),
    ]
    whole = place / "whole"
    before = time.monotonic()
    ended(command(*start, "--engine", engine, "--out", str(whole)))
    seconds = time.monotonic() - before
    done = runs = differing = 0
    while done < kills:
        run = place / f"run-{runs}"
        finished = False
        while not finished:
            begun = (run / "settings.yaml").exists()
            arguments = ["--resume", str(run)] if begun else [*start, "--engine", engine, "--out", str(run)]
            if not begun and run.exists():
                shutil.rmtree(run)  # killed before its settings were written: nothing to resume
            process = command(*arguments)
            if done >= kills:
                ended(process)
                finished = True
            elif killed(process, rng.uniform(0, seconds)):
                done += 1
            else:
                finished = True
        different = [name for name in FILES if (run / name).read_bytes() != (whole / name).read_bytes()]
        if different:
            print(f"{strategy}: {run.name} differs in {', '.join(different)}")
        differing += bool(different)
        runs += 1
        shutil.rmtree(run)
    print(f"{strategy:24} {engine:11} {evaluations:7,} evaluations in {seconds:4.1f} s {done:4} kills {runs:3} runs "
          f"{differing:3} differ", flush=True)  # fmt: skip
    return differing


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=200, help="per strategy")
    options.add_argument("--engine", default="in-process")
    options.add_argument("--strategies", nargs="+", default=["evolution", "ppo", "optuna:NSGAIISampler"])
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    differing = 0
    for strategy in chosen.strategies:
        with tempfile.TemporaryDirectory(prefix="kill-resume-") as place:
            rng = random.Random(f"{chosen.seed} {strategy}")
            differing += check(strategy, chosen.kills, chosen.engine, rng, Path(place))
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
