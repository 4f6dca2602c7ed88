"""Stage 3: the redesign by hand, step by step: predicted latency on Pixel 1, and accuracy of short equal trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latency_lut.devices import load_device
from latency_lut.predict import predict
from latency_lut.table import LatencyTable
from nas.jobs.reproduce.findings import Comparison, Findings, Table
from nas.jobs.reproduce.mobilenetv3.training import Trained, train_all, training_told
from nas.jobs.reproduce.pipeline import Context
from searchspace.architecture import Activation, Architecture
from searchspace.redesign import (
    hswish_from,
    redesigned,
    with_original_last_stage,
    with_squeeze_of_input,
    with_stem,
    without_squeeze,
)
from searchspace.reference import reference

DEVICE = "pixel"


@dataclass(frozen=True)
class Switch:
    """One change of V3-Large taken back: the network without it, and what the paper says the change is worth."""

    what: str
    without: Architecture
    paper: str
    why: str = ""


def switches() -> dict[str, Switch]:
    """Return the redesign of V3-Large, each step by the network that lacks it alone."""
    large = reference("mobilenet_v3_large")
    fitted = "this row made the table"
    return {
        "stem 32 with ReLU": Switch(
            "16-filter stem with h-swish in place of 32 with ReLU",
            with_stem(large, 32, Activation.RELU),
            "-2 ms, -10 M MAdds, same accuracy (section 5.2)",
            "the first block's 32 channels go with the stem",
        ),
        "original last stage": Switch(
            "cheap last stage in place of the original one (figure 5)",
            with_original_last_stage(large),
            "-7 ms (11 %), -30 M MAdds, almost no accuracy (section 5.1)",
            "by figure 5 the step saves 34.3 M MAdds",
        ),
        "ReLU everywhere": Switch(
            "h-swish from 80 channels on in place of ReLU in all blocks",
            hswish_from(None),
            "+0.9 ms, +0.7 points (table 5)",
            fitted,
        ),
        "h-swish from 16": Switch(
            "h-swish from 80 in place of from 16 channels on", hswish_from(16), "-2.1 ms, -0.2 points (table 5)", fitted
        ),
        "h-swish from 112": Switch(
            "h-swish from 80 in place of from 112 channels on",
            hswish_from(112),
            "+0.4 ms, +0.3 points (table 5)",
            fitted,
        ),
        "squeeze of the input": Switch(
            "squeeze-excite 1/4 of the expansion in place of 1/4 of the input",
            with_squeeze_of_input(large),
            "no discernible latency, more accuracy (section 5.3)",
        ),
        "no squeeze-excite": Switch(
            "squeeze-excite in place of none",
            without_squeeze(large),
            "not given alone; with 5x5 and h-swish +7.1 ms, +2.9 points (TF-slim)",
        ),
    }


def run_redesign(context: Context) -> Findings:
    """Price V3-Large with each step of the redesign taken back, and train all of them alike."""
    table, large, steps = load_device(DEVICE), reference("mobilenet_v3_large"), switches()
    networks = {"V3-Large": large, **{name: one.without for name, one in steps.items()}}
    trained = train_all(context, networks)
    figures = {name: _figures(table, network, trained[name]) for name, network in networks.items()}
    base = figures["V3-Large"]
    comparisons = [
        Comparison(what=one.what, paper=one.paper, ours=_change(base, figures[name]), why=one.why)
        for name, one in steps.items()
    ]
    comparisons.append(_whole(table))
    return Findings(
        comparisons=comparisons,
        tables=[_table(figures, trained)],
        text=[
            "Latency changes are predictions of the Pixel 1 table. It was made from V3-Large itself and, where that is "
            "said, from the row; the stage of the tables says what is left of them without. Proxy accuracies follow a "
            "short training: they are beside the paper's only in sign, and differences below two standard errors of "
            "the test say nothing.",
        ],
        scaled_down=f"accuracies are those of a proxy: {training_told(context, trained)}.",
        figures=figures,
    )


def _figures(table: LatencyTable, network: Architecture, trained: Trained) -> dict[str, Any]:
    return {
        "latency_ms": predict(table, network).latency_ms,
        "madds": network.madds,
        "params": network.params,
        "proxy_top1": list(trained.top1),
    }


def _change(base: Mapping[str, Any], without: Mapping[str, Any]) -> str:
    """Return what taking the step changes: the network with it less the one without."""
    saved_ms = base["latency_ms"] - without["latency_ms"]
    share = 100 * saved_ms / without["latency_ms"]
    madds = (base["madds"] - without["madds"]) / 1e6
    points = sum(base["proxy_top1"]) / len(base["proxy_top1"]) - sum(without["proxy_top1"]) / len(without["proxy_top1"])
    return f"{saved_ms:+.1f} ms ({share:+.0f} %), {madds:+.1f} M MAdds; proxy {points:+.1f} points"


def _whole(table: LatencyTable) -> Comparison:
    """Return what all switches make of MnasNet-A1, from which V3-Large differs by NetAdapt beside them."""
    a1 = reference("mnasnet_a1")
    before, after = (predict(table, network).latency_ms for network in (a1, redesigned(a1)))
    return Comparison(
        what="all switches on MnasNet-A1, without NetAdapt",
        paper="71 to about 62 ms (the steps' -9 ms; V3-Large after NetAdapt: 51)",
        ours=f"{before:.1f} to {after:.1f} ms ({after - before:+.1f})",
        why="the paper gives the steps from its slimmed network",
    )


def _table(figures: Mapping[str, Mapping[str, Any]], trained: Mapping[str, Trained]) -> Table:
    rows = [
        (
            name,
            f"{one['latency_ms']:.1f}",
            f"{one['madds'] / 1e6:.1f}",
            f"{one['params'] / 1e6:.2f}",
            str(trained[name]),
        )
        for name, one in figures.items()
    ]
    return Table(
        title="V3-Large with one step taken back",
        columns=("network", "Pixel 1, ms", "MAdds, M", "params, M", "proxy top-1, %"),
        rows=rows,
    )
