"""How long a search of many evaluations takes to be taken up again, beyond what a new one takes to start.

    python benchmarks/resume_time.py --evaluations 100000 --strategies random evolution local reinforce
    python benchmarks/resume_time.py --evaluations 20000 --strategies ppo
    python benchmarks/resume_time.py --evaluations 2000 --strategies optuna:NSGAIISampler

Each search runs with the predictor; then a new strategy takes over its journal: with the snapshot that was written last
beside it, where the strategy has one, and by replay alone. Processor time, the smallest of three.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from nas.evaluators import Evaluator
from nas.jobs.search.ask_tell import SearchLoop, run_search
from nas.jobs.search.header import search_header
from nas.jobs.search.journal import Journal
from nas.jobs.search.prepare import PreparedSearch, prepare_search
from nas.jobs.search.scoring import PredictedScoring, Watch
from nas.jobs.search.settings import SearchSettings
from nas.jobs.search.snapshot import SNAPSHOT, Snapshots
from nas.runs import RunFolder

TIMES = 3


def prepared(strategy: str, evaluations: int) -> PreparedSearch:
    settings = SearchSettings(budget_ms=60.0, strategy=strategy, evaluations=evaluations, seed=1)
    return prepare_search(settings, PredictedScoring(settings.seed))


def header(search: PreparedSearch, evaluator: Evaluator) -> dict:
    size = {"evaluations": search.settings.evaluations, "batch": search.scoring.batch}
    return search_header(search.objective, search.strategy, evaluator, search.table, **size)


def searched(search: PreparedSearch, evaluator: Evaluator, path: Path) -> float:
    before = time.process_time()
    size = {"evaluations": search.settings.evaluations, "batch": search.scoring.batch}
    with Journal.create(path, header(search, evaluator)) as journal:
        snapshots = Snapshots(path.with_name(SNAPSHOT))
        run_search(search.objective, search.strategy, evaluator, journal, **size, snapshots=snapshots)
    return time.process_time() - before


def resumed(strategy: str, evaluations: int, evaluator: Evaluator, path: Path, snapshot: bool) -> float:
    search = prepared(strategy, evaluations)
    before = time.process_time()
    snapshots = Snapshots(path.with_name(SNAPSHOT)) if snapshot else None
    with Journal.resume(path, header(search, evaluator)) as journal:
        SearchLoop(search.objective, search.strategy, evaluator, journal, snapshots).replay()
    return time.process_time() - before


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--evaluations", type=int, default=100_000)
    options.add_argument("--strategies", nargs="+", default=["random", "evolution", "local", "reinforce"])
    chosen = options.parse_args()
    names = ("evaluations", "journal", "search", "replayed", "snapshot", "with it")
    print(f"{'strategy':22} {names[0]:>11} {' '.join(f'{name:>8}' for name in names[1:])}")
    for strategy in chosen.strategies:
        with tempfile.TemporaryDirectory(prefix="resume-") as place:
            path = Path(place) / "journal.jsonl"
            search = prepared(strategy, chosen.evaluations)
            evaluator = search.scoring.evaluator(search.objective, RunFolder(place), Watch())
            seconds = searched(search, evaluator, path)
            size = f"{path.stat().st_size / 1e6:.1f}MB"
            line = f"{strategy:22} {chosen.evaluations:11,} {size:>8} {seconds:7.1f}s"
            ways = (False, True) if path.with_name(SNAPSHOT).exists() else (False,)
            times = [
                min(resumed(strategy, chosen.evaluations, evaluator, path, way) for _ in range(TIMES)) for way in ways
            ]
            line += f" {times[0]:7.2f}s"
            if len(times) == 2:
                size = f"{path.with_name(SNAPSHOT).stat().st_size / 1e6:.1f}MB"
                line += f" {size:>8} {times[1]:7.2f}s"
            print(line, flush=True)


if __name__ == "__main__":
    main()
