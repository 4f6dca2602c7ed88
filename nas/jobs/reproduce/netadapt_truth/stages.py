"""NetAdapt against a known truth: a network of which every width choice was trained.

The table (Channel-Bench-Macro, Su et al., arXiv 2203.13714) holds CIFAR-10 accuracies of all 4^7 width choices of a
seven-layer network of MobileNet blocks, in two runs. NetAdapt and its rivals choose by one run's accuracies and are
judged by the other's, so that none is rewarded for the luck of a run. Accuracies are looked up, which bounds short
fine-tuning from above: only the choice of widths is tried, not that of filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from nas.jobs.reproduce.findings import Findings, Table
from nas.jobs.reproduce.netadapt_truth.choices import evolved, exact, greedy, slim
from nas.jobs.reproduce.netadapt_truth.judging import Z_95, Judged, judge
from nas.jobs.reproduce.netadapt_truth.table import Truth, digits_at, digits_of, read_truth, row_of
from nas.jobs.reproduce.pipeline import Context, Experiment, Stage
from nas.jobs.reproduce.settings import Scale
from netadapt.schedule import Form
from searchspace.support.errors import UserError
from searchspace.text import parse

LIMITS = {"1/2": "2222222", "3/4": "3333333"}
_REPEATS = {Scale.QUICK: 5, Scale.DEFAULT: 50, Scale.FULL: 200}


Choose = Callable[[int], list[str]]


def _methods(truth: Truth, limit: float, uniform: str, repeats: int, seed: int) -> Iterator[tuple[str, Choose]]:
    """Yield each method's name and what it chooses by a run."""
    within = np.flatnonzero(truth.madds <= limit)

    def ends(form: Form, random: bool = False) -> Choose:
        def chosen(run: int) -> list[str]:
            seeds = range(seed, seed + repeats) if random else [seed]
            return [
                digits_of(parse(slim(truth, run, limit, form, seed=one, random=random)[-1].architecture))
                for one in seeds
            ]

        return chosen

    def drawn(run: int) -> list[str]:
        rng = np.random.default_rng([seed, run])
        return [digits_at(int(row)) for row in rng.choice(within, size=10 * repeats)]

    yield "uniform width", lambda run: [uniform]
    yield "NetAdapt, MobileNetV3's rule", ends(Form.MOBILENETV3)
    yield "NetAdapt, the original's rule", ends(Form.ORIGINAL)
    yield "random proposals", ends(Form.MOBILENETV3, random=True)
    yield "random networks", drawn
    yield "greedy by multiply-adds", lambda run: [greedy(truth, limit)]
    yield "evolution", lambda run: [evolved(truth, run, limit, one) for one in range(seed, seed + max(repeats // 5, 2))]
    yield "exact by one run", lambda run: [exact(truth, run, limit)]


def _run(context: Context) -> Findings:
    settings = context.settings
    if settings.table is None:
        raise UserError(
            "netadapt-truth looks accuracies up: give the table of all width choices with --table FILE "
            "(columns arch, acc1, acc2, madds; github.com/xiusu/Channel-Bench-Macro)"
        )
    truth = read_truth(settings.table)
    repeats = _REPEATS[settings.scale]
    tables: list[Table] = []
    figures: dict[str, Any] = {"one_run_sd": truth.noise}
    steps = 8 * len(LIMITS)
    done = 0
    for share, uniform in LIMITS.items():
        limit = float(truth.madds[row_of(uniform)])
        judged = []
        for method, choose in _methods(truth, limit, uniform, repeats, settings.seed):
            judged.append(judge(truth, limit, method, (choose(0), choose(1)), uniform))
            done += 1
            context.report(done, steps)
        tables.append(_table(share, limit, judged, int((truth.madds <= limit).sum())))
        figures[f"uniform {share}"] = {one.method: _figures(one) for one in judged}
    return Findings(tables=tables, text=_conclusion(truth, figures), figures=figures, scaled_down=_SCALED)


_SCALED = (
    "nothing is trained; every accuracy is looked up, which is kinder than NetAdapt's short fine-tuning, and which "
    "filters stay is not part of the question."
)


def _table(share: str, limit: float, judged: list[Judged], within: int) -> Table:
    rows = [
        (
            one.method,
            f"{one.regret:+.2f} ({one.regret_ci[0]:+.2f} to {one.regret_ci[1]:+.2f})",
            f"{one.over_uniform:+.2f}",
            f"{one.rank:,.0f}",
            str(one.networks),
            " ".join(dict.fromkeys(one.chosen)),
        )
        for one in judged
    ]
    return Table(
        title=f"At most the multiply-adds of uniform width {share} ({limit / 1e6:.1f} M)",
        columns=("method", "regret, points (95 %)", "over uniform", "mean rank", "judged", "widths chosen"),
        rows=rows,
        # Differences and ranks only: the table has no licence that lets its rows be passed on.
        note=f"Chosen by one run, judged by the other, both ways; {within:,} networks lie within the limit. Widths in "
        "quarters, layer by layer, as first chosen by run 1 and by run 2.",
    )


def _figures(one: Judged) -> dict[str, Any]:
    kept = asdict(one)
    return {name: kept[name] for name in ("regret", "regret_ci", "over_uniform", "rank")}


def _conclusion(truth: Truth, figures: Mapping[str, Any]) -> list[str]:
    """Return what the truth decides: differences that are larger than the noise of a run, and which are not."""
    lines = [
        f"One run's accuracy of a network has a standard deviation of {truth.noise:.2f} points, so that two networks "
        f"judged by one run must differ by {Z_95 * truth.noise * np.sqrt(2):.2f} points to be told apart.",
    ]
    for share in LIMITS:
        found = figures[f"uniform {share}"]
        best = found["exact by one run"]["over_uniform"]
        rules = {name: found[name]["over_uniform"] for name in found if name.startswith("NetAdapt")}
        told = ", ".join(f"{name.split(', ')[1]} {value:+.2f}" for name, value in rules.items())
        lines.append(
            f"At uniform width {share} the very best by one run is {best:+.2f} points over uniform in the other; "
            f"NetAdapt: {told}. A difference below the noise above is not decided by this table."
        )
    return lines


KNOWN_TRUTH = Experiment(
    name="netadapt-truth",
    title="NetAdapt against a known truth",
    about="Every width choice of a MobileNet-like network was trained by others; NetAdapt and its rivals choose among "
    "them.",
    stages=(Stage("widths", "What each method chooses, and what it is worth", _run),),
)
