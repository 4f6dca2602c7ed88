"""One history on every engine, whatever happens to its workers, and pages and figures while a search runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.cli.app import app
from nas.engines import Engine, InProcessEngine, open_engine
from nas.evaluators.testing import FAULTS, FaultyEvaluator
from nas.jobs.search.ask_tell import run_search
from nas.jobs.search.found import Progress
from nas.jobs.search.header import search_header
from nas.jobs.search.journal import Journal
from nas.jobs.search.trials import TRIALS, TrialOptions, Trials
from nas.jobs.search.watching import SearchWatch
from nas.objectives import Objective
from nas.report.live import LivePage
from nas.strategies import make_strategy
from searchspace.space import load_space
from searchspace.support.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, Engine]]:
    pytest.importorskip("ray")
    with open_engine("pool", workers=2) as pool, open_engine("ray") as ray:
        yield {"in-process": InProcessEngine(), "pool": pool, "ray": ray}


@pytest.fixture(scope="module")
def objective() -> Objective:
    return Objective(CompiledCost(load_space("mobilenetv3"), load_device("pixel")), 75.0)


def searched(
    objective: Objective, engine: Engine, folder: Path, evaluator: FaultyEvaluator, *, evaluations: int = 48
) -> tuple[bytes, Trials]:
    """Return the journal of a short search."""
    folder.mkdir(exist_ok=True)
    strategy = make_strategy("evolution", objective, 3, evaluations)
    size = {"evaluations": evaluations, "batch": 12}
    header = search_header(objective, strategy, evaluator, objective.cost.table, **size)
    path = folder / "journal.jsonl"
    options = TrialOptions(per_network=True, threads=None, timeout_s=6)
    with (
        Journal.resume(path, header) if path.exists() else Journal.create(path, header) as journal,
        Trials(evaluator, engine, folder, options, latency_ms=objective.first_cost.latency_ms) as trials,
    ):
        run_search(objective, strategy, trials, journal, **size)
    return path.read_bytes(), trials


def test_every_engine_gives_the_same_history(engines: dict[str, Engine], objective: Objective, tmp_path: Path) -> None:
    evaluator = FaultyEvaluator(str(tmp_path), faults=())
    journals = {name: searched(objective, engine, tmp_path / name, evaluator)[0] for name, engine in engines.items()}
    assert journals["pool"] == journals["in-process"]
    assert journals["ray"] == journals["in-process"]


def test_faults_of_workers_leave_the_history_as_it_is(
    engines: dict[str, Engine], objective: Objective, tmp_path: Path
) -> None:
    unbroken, _ = searched(
        objective,
        engines["in-process"],
        tmp_path / "whole",
        FaultyEvaluator(str(tmp_path), faults=(FAULTS[-1],)),
        evaluations=20,
    )
    for name in ("pool", "ray"):
        marks = tmp_path / f"marks-{name}"
        marks.mkdir()
        journal, trials = searched(
            objective, engines[name], tmp_path / name, FaultyEvaluator(str(marks)), evaluations=20
        )
        assert journal == unbroken
        entries = [json.loads(line) for line in (tmp_path / name / TRIALS).read_text().splitlines()[1:]]
        failures = [failure["kind"] for entry in entries for failure in entry.get("failures", ())]
        assert {"raised", "died", "timed out"} <= set(failures)
        assert trials.failures == len(failures)
        given_up = [entry for entry in entries if entry["top1"] is None]
        assert given_up and all(len(entry["failures"]) == 4 for entry in given_up)


def test_in_process_a_network_that_hangs_or_fails_is_tried_again(objective: Objective, tmp_path: Path) -> None:
    kinds = tuple(fault for fault in FAULTS if fault not in ("dies", "hangs"))
    evaluator = FaultyEvaluator(str(tmp_path), faults=kinds)
    journal, trials = searched(objective, InProcessEngine(), tmp_path / "run", evaluator)
    assert trials.failures and trials.last_failure is not None
    assert b"null" in journal  # what failed every time is told as not evaluated


def test_a_search_of_which_everything_fails_is_given_up(objective: Objective, tmp_path: Path) -> None:
    class Broken(FaultyEvaluator):
        def top1(self, genotypes):
            raise RuntimeError("no camera")

    with pytest.raises(
        UserError, match=r"every network of the last 3 batches failed; the last one raised: .*no camera"
    ):
        searched(objective, InProcessEngine(), tmp_path / "run", Broken(str(tmp_path)))


def test_networks_scored_before_an_interruption_are_not_scored_again(objective: Objective, tmp_path: Path) -> None:
    scored: list[bytes] = []

    class Interrupted(FaultyEvaluator):
        def top1(self, genotypes):
            if len(scored) == 17:
                scored.append(b"")
                raise KeyboardInterrupt
            scored.extend(row.tobytes() for row in genotypes)
            return super().top1(genotypes)

    evaluator = Interrupted(str(tmp_path), faults=())
    with pytest.raises(KeyboardInterrupt, match="of 48 evaluations are saved"):
        searched(objective, InProcessEngine(), tmp_path / "run", evaluator)
    resumed, _ = searched(objective, InProcessEngine(), tmp_path / "run", evaluator)
    assert len(scored) == 48 + 1 and len(set(scored)) == 49
    whole, _ = searched(objective, InProcessEngine(), tmp_path / "whole", FaultyEvaluator(str(tmp_path), faults=()))
    assert resumed == whole


def test_the_command_gives_the_same_journal_with_a_pool(tmp_path: Path) -> None:
    """After the predictor was used in this process, which opens libraries that do not travel."""
    quick = ("search", "--budget", "60ms", "--evaluations", "600", "--no-export", "--parallel", "100")
    for engine in ("in-process", "pool"):
        result = CliRunner().invoke(app, [*quick, "--engine", engine, "--out", str(tmp_path / engine)])
        assert result.exit_code == 0, result.output
    for name in ("journal.jsonl", "result.json", "front.csv"):
        assert (tmp_path / "pool" / name).read_bytes() == (tmp_path / "in-process" / name).read_bytes()
    assert "parallel: 100" in (tmp_path / "pool" / "settings.yaml").read_text()


def test_without_ray_the_extra_is_named(tmp_path: Path) -> None:
    code = "import sys; sys.modules['ray'] = None; from nas.cli.app import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "search",
        "--budget",
        "60ms",
        "--engine",
        "ray",
        "--out",
        str(tmp_path / "a"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "phone-nas[ray]" in " ".join(ended.stderr.split())


def test_the_page_of_a_running_search_loads_itself_again(tmp_path: Path) -> None:
    shown: dict[str, float] = {}

    class Dashboard(InProcessEngine):
        def report(self, figures):
            shown.update(figures)

    page = LivePage(tmp_path / "report.html", "A search", {"device": "pixel"}, every_s=0)
    watch = SearchWatch(Dashboard(), page, lambda state: None)
    watch.batch_done(Progress(evaluations=5, total=20, top1=74.5, latency_ms=58.25, front=3))
    text = (tmp_path / "report.html").read_text()
    assert '<meta http-equiv="refresh" content="5">' in text
    assert "running" in text and "74.50 %" in text and "at 58.2 ms" in text
    assert shown == {
        "evaluations": 5,
        "front_size": 3,
        "queue": 0,
        "failures": 0,
        "best_top1": 74.5,
        "best_latency_ms": 58.25,
    }


def test_a_network_is_called_by_six_letters_and_its_latency(objective: Objective, tmp_path: Path) -> None:
    named: list[str] = []

    class Names(InProcessEngine):
        def map(self, function, arguments, *, names, **rest):
            named.extend(names)
            return super().map(function, arguments, names=names, **rest)

    searched(objective, Names(), tmp_path / "run", FaultyEvaluator(str(tmp_path), faults=()), evaluations=3)
    assert all(len(name.split()[1]) == 7 and name.endswith(" ms") for name in named)


def test_the_shipped_dashboard_shows_every_figure() -> None:
    from nas.engines._ray_metrics import MEANINGS

    data = ROOT / "nas/engines/data"
    panels = json.loads((data / "grafana-dashboard.json").read_text())["panels"]
    assert [panel["targets"][0]["expr"] for panel in panels] == [f"ray_nas_{name}" for name in MEANINGS]
    assert "prom_metrics_service_discovery.json" in (data / "prometheus.yml").read_text()
