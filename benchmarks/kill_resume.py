"""Kill searches at random moments, resume each, and compare with a search that was never interrupted.

    python benchmarks/kill_resume.py --kills 200
    python benchmarks/kill_resume.py --kills 20 --engine ray --strategies evolution

The kills are shared among the strategies. A search, with everything that it started, is ended by SIGKILL at a moment
drawn uniformly from the time a whole one takes; `nas search --resume RUN` goes on. When a run has come to its end, its
journal, result and front are compared byte for byte, and another run is begun until all kills are done. Snapshots are
written every quarter of a second, so that short searches leave some. The exit code is 1 where anything differs.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

FILES = ("journal.jsonl", "result.json", "front.csv")
STRATEGIES = ("evolution", "ppo", "optuna:NSGAIISampler")
EVALUATIONS = {"evolution": 1_500, "ppo": 100, "optuna:NSGAIISampler": 60}
PROGRAM = """
import nas.jobs.search.snapshot as snapshot
from nas.cli.app import main
snapshot.EVERY_S = 0.25
main()
"""


@dataclass
class Killed:
    """Runs of one strategy, killed and resumed in `place`; `moments` counts where the kills fell."""

    strategy: str
    engine: str
    evaluations: int
    rng: random.Random
    place: Path
    moments: dict[str, int] = field(default_factory=lambda: {"starting": 0, "searching": 0, "ending": 0})
    snapshots: int = 0
    kills: int = 0
    runs: int = 0
    differing: int = 0

    def check(self, kills: int) -> None:
        """Kill and resume until so many are done, and compare every run with one that was not killed."""
        before = time.monotonic()
        ended(self.search(self.place / "whole"))
        self.seconds = time.monotonic() - before
        while self.kills < kills:
            run = self.place / f"run-{self.runs}"
            while not self.ends(run, kills):
                pass
            different = [
                name for name in FILES if (run / name).read_bytes() != (self.place / "whole" / name).read_bytes()
            ]
            if different:
                print(f"{self.strategy}: {run.name} differs in {', '.join(different)}")
            self.differing += bool(different)
            self.runs += 1
            shutil.rmtree(run)

    def ends(self, run: Path, kills: int) -> bool:
        """Go on with a run, or begin it; return whether it came to its end before it was killed."""
        if not (run / "settings.yaml").exists():
            shutil.rmtree(run, ignore_errors=True)  # killed before its settings were written: nothing to resume
            process = self.search(run)
        else:
            process = command("--resume", str(run))
        if self.kills >= kills:
            ended(process)
            return True
        try:
            process.wait(self.rng.uniform(0, self.seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            self.note(run)
            return False
        ended(process)
        return True

    def note(self, run: Path) -> None:
        """Count a kill by what the run had written."""
        journal = run / "journal.jsonl"
        batches = len(journal.read_bytes().splitlines()) - 1 if journal.exists() else 0
        whole = len((self.place / "whole" / "journal.jsonl").read_bytes().splitlines()) - 1
        self.moments["starting" if batches < 1 else "searching" if batches < whole else "ending"] += 1
        self.snapshots += (run / "strategy.snapshot").exists()
        self.kills += 1

    def search(self, run: Path) -> subprocess.Popen[bytes]:
        """Start a search into a folder: the space `mnasnet`, whose best no long proof bounds at the end."""
        size = ["--strategy", self.strategy, "--evaluations", str(self.evaluations)]
        asked = ["--space", "mnasnet", "--budget", "60ms", "--no-export", "--seed", "5", "--engine", self.engine]
        return command(*asked, *size, "--out", str(run))

    def __str__(self) -> str:
        fell = ", ".join(f"{count} {name}" for name, count in self.moments.items())
        return (
            f"{self.strategy:21} {self.engine:11} {self.evaluations:6,} evaluations in {self.seconds:5.1f} s: "
            f"{self.kills} kills ({fell}; {self.snapshots} beside a snapshot), {self.runs} runs, "
            f"{self.differing} differ"
        )


def command(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "search", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for a run to end well."""
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"a search ended with {process.returncode}: {errors.decode()[-2000:]}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=200, help="shared among the strategies")
    options.add_argument("--engine", default="in-process")
    options.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    options.add_argument("--evaluations", type=int, help="by default what takes about as long as the start")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    differing = 0
    for number, strategy in enumerate(chosen.strategies):
        kills = len(range(number, chosen.kills, len(chosen.strategies)))
        evaluations = chosen.evaluations or EVALUATIONS.get(strategy, 80)
        with tempfile.TemporaryDirectory(prefix="kill-resume-") as place:
            rng = random.Random(f"{chosen.seed} {strategy}")
            runs = Killed(strategy, chosen.engine, evaluations, rng, Path(place))
            runs.check(kills)
        print(runs, flush=True)
        differing += runs.differing
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"processor time {(used.ru_utime + used.ru_stime) / 60:.1f} minutes")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
