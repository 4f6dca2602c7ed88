"""`nas predictor`: what the predicted accuracies rest on, how well they rank, and fitting them again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli._common import JsonOption, SeedOption, network_title, note_console, output_console, print_json
from searchspace.resolve import resolve_network

if TYPE_CHECKING:
    from nas.predictor import Agreement, Predictor

TableArgument = Annotated[
    Path, typer.Argument(metavar="TABLE", help="A CSV file of networks and their top-1.", show_default=False)
]
AgainstOption = Annotated[
    Path,
    typer.Option("--against", metavar="TABLE", help="A CSV file of networks and their top-1.", show_default=False),
]
PredictorOption = Annotated[
    Path | None,
    typer.Option("--predictor", metavar="FILE", help="A fitted predictor; default: the one that ships."),
]
SpaceArgument = Annotated[str, typer.Argument(metavar="SPACE", help="mobilenetv3 or mnasnet.")]
NetworksArgument = Annotated[
    list[str], typer.Argument(metavar="NETWORK...", help="Networks of the space.", show_default=False)
]


def validate(against: AgainstOption, predictor: PredictorOption = None, json: JsonOption = False) -> None:
    """Score the predictor on networks of known accuracy.

    The columns of the file tell the space: one row a network, with the columns of Once-for-All's sub-networks
    (unit0_layer0_kernel ... top1) or of Accel-NASBench (block0_expansion ... val_top1).

    [bold]Example[/bold]

      nas predictor validate --against mobilenetv3_left_out.csv --json
    """
    from nas.predictor import agreement, load_accuracy_table

    table = load_accuracy_table(against)
    used = _predictor(predictor, table.layout.name)
    found = agreement(used.top1(table.rows), table.top1)
    if json:
        print_json({"space": table.layout.name, "scale": table.layout.scale, **asdict(found)})
        return
    output_console().print(_facts(f"{table.layout.name} against {against}", _agreement_rows(found)))


def show(space: SpaceArgument = "mobilenetv3", predictor: PredictorOption = None, json: JsonOption = False) -> None:
    """What a predictor rests on, and its error on networks left out of the fit.

    [bold]Example[/bold]

      nas predictor show mnasnet
    """
    used = _predictor(predictor, space)
    if json:
        print_json(_document(used))
        return
    rows = {
        "accuracy": used.layout.scale,
        "source": f"{used.rows:,} {used.layout.source}",
        "highest top-1 in it": f"{used.best:.2f} %",
        **_agreement_rows(used.left_out),
    }
    output_console().print(_facts(f"predictor of {used.layout.name}", rows))


def fit(
    table: TableArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write it.", show_default=False)],
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Fit a predictor to a table of accuracies; on one machine the same table and seed give the same file.

    [bold]Example[/bold]

      nas predictor fit mobilenetv3_space_imagenet_supernet.csv --out nas/predictor/data/mobilenetv3.json
    """
    from nas.predictor import fit_predictor, load_accuracy_table, save_predictor

    accuracies = load_accuracy_table(table)
    note_console().print(f"fitting to {len(accuracies.rows):,} networks of {accuracies.layout.name}, six times")
    fitted = fit_predictor(accuracies, seed)
    save_predictor(fitted, out)
    if json:
        print_json({"file": str(out), **_document(fitted)})
        return
    output_console().print(_facts(f"{out}, on networks left out", _agreement_rows(fitted.left_out)))


def score(
    networks: NetworksArgument,
    space: Annotated[str, typer.Option("--space", metavar="SPACE", help="mobilenetv3 or mnasnet.")] = "mobilenetv3",
    predictor: PredictorOption = None,
    json: JsonOption = False,
) -> None:
    """Predicted top-1 of networks, or of the members of the space nearest to them.

    [bold]Example[/bold]

      nas predictor score mobilenet_v3_large runs/NAME
    """
    from nas.predictor import score_network

    used = _predictor(predictor, space)
    scores = [score_network(used, resolve_network(network)) for network in networks]
    if json:
        rows = [
            {"network": network, "top1": score.top1, "exact": score.exact, "differences": list(score.differences)}
            for network, score in zip(networks, scores, strict=True)
        ]
        print_json({"scale": used.layout.scale, "mae": used.left_out.mae, "networks": rows})
        return
    console = output_console()
    titles = {
        network_title(network): f"{score.top1:.2f} %" + ("" if score.exact else " (nearest member of the space)")
        for network, score in zip(networks, scores, strict=True)
    }
    console.print(_facts(used.layout.scale, titles))
    for network, score in zip(networks, scores, strict=True):
        if not score.exact:
            console.print(f"{network_title(network)} was scored with {', '.join(score.differences)}", style="dim")


def _predictor(path: Path | None, space: str) -> Predictor:
    from nas.predictor import load_predictor, shipped_predictor
    from searchspace.support.errors import UserError

    if path is None:
        return shipped_predictor(space)
    loaded = load_predictor(path)
    if loaded.layout.name != space:
        raise UserError(f"{path} predicts the space {loaded.layout.name}, not {space}")
    return loaded


def _document(predictor: Predictor) -> dict[str, Any]:
    return {
        "space": predictor.layout.name,
        "scale": predictor.layout.scale,
        "source": predictor.layout.source,
        "rows": predictor.rows,
        "best": predictor.best,
        "left_out": asdict(predictor.left_out),
        "made_with": dict(predictor.made_with),
    }


def _agreement_rows(found: Agreement) -> dict[str, str]:
    return {
        "networks": f"{found.count:,}",
        "Kendall tau": f"{found.kendall:.4f}",
        "Spearman": f"{found.spearman:.4f}",
        "mean error": f"{found.mae:.3f} points",
        "90 % within": f"{found.error_90:.3f} points",
    }


def _facts(title: str, rows: dict[str, str]) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table
