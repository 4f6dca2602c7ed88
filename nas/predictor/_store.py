"""Predictor files: one JSON document with a checksum, plain numbers and LightGBM's text model inside.

    {"format": "accuracy-predictor/1", "sha256": "...", "content": {...}}

Nothing in it is executed when it is read, and LightGBM reads the text models of its earlier releases.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nas.predictor._kernel import KernelModel
from nas.predictor._layouts import Layout
from nas.predictor._model import Agreement, Predictor, layout_named
from searchspace.support.errors import UserError
from searchspace.support.files import sha256_text, write_atomic
from searchspace.support.json_text import read_json_object

_FORMAT = "accuracy-predictor/1"
_SHIPPED = Path(__file__).parent / "data"
_DIGITS = "0123456789"


@lru_cache(maxsize=8)
def shipped_predictor(space: str) -> Predictor:
    """Return the predictor that ships for a space; raises UserError for a space without accuracies."""
    return load_predictor(_SHIPPED / f"{layout_named(space).name}.json")


def save_predictor(predictor: Predictor, path: str | Path) -> None:
    """Write a predictor file in one step; raises OSError when it cannot be written."""
    text = _canonical(_content(predictor))
    document = f'{{"format":"{_FORMAT}","sha256":"{sha256_text(text)}",\n"content":{text}}}\n'
    write_atomic(path, document)


def load_predictor(path: str | Path) -> Predictor:
    """Read a predictor file; raises UserError when it is cut short, changed or of another format."""
    document = read_json_object(path, "predictor file")
    found = document.get("format")
    if found != _FORMAT:
        raise UserError(f"{path} is not a predictor file: its format is {found!r:.60}, expected {_FORMAT!r}")
    content = document.get("content", {})
    fingerprint = sha256_text(_canonical(content))
    if fingerprint != document.get("sha256"):
        raise UserError(f"{path} is damaged or was changed: its content does not match its checksum")
    try:
        return _predictor(content, fingerprint)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a predictor of this version: {type(error).__name__} {error}") from None


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _content(predictor: Predictor) -> dict[str, Any]:
    kernel = predictor.kernel
    return {
        "space": predictor.layout.name,
        "columns": [column.name for column in predictor.layout.columns],
        "scale": predictor.layout.scale,
        "source": predictor.layout.source,
        "rows": predictor.rows,
        "best": predictor.best,
        "left_out": asdict(predictor.left_out),
        "made_with": dict(predictor.made_with),
        "mean": predictor.mean,
        "deviation": predictor.deviation,
        "share_of_trees": predictor.share_of_trees,
        "points": ["".join(_DIGITS[value] for value in row) for row in kernel.points],
        "centre": kernel.centre.tolist(),
        "width": kernel.width.tolist(),
        "weights": kernel.weights.tolist(),
        "trees": predictor.trees,
    }


def _predictor(content: dict[str, Any], fingerprint: str) -> Predictor:
    layout = layout_named(content["space"])
    if content["columns"] != [column.name for column in layout.columns]:
        raise ValueError("its columns differ")
    return Predictor(
        layout=layout,
        rows=int(content["rows"]),
        best=_finite(content["best"]),
        left_out=Agreement(**content["left_out"]),
        made_with=dict(content["made_with"]),
        mean=_finite(content["mean"]),
        deviation=_finite(content["deviation"]),
        share_of_trees=_finite(content["share_of_trees"]),
        kernel=_kernel_model(content, layout),
        trees=str(content["trees"]),
        fingerprint=fingerprint,
    )


def _kernel_model(content: dict[str, Any], layout: Layout) -> KernelModel:
    points = np.array([[int(digit) for digit in row] for row in content["points"]], dtype=np.int16)
    centre, width, weights = (np.array(content[key], dtype=np.float64) for key in ("centre", "width", "weights"))
    features = layout.features(points).shape[1]
    if not (len(points) == len(weights) and len(centre) == len(width) == features):
        raise ValueError("its arrays differ in length")
    return KernelModel(points, centre, width, weights)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number
