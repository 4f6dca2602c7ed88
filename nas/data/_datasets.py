"""Image data sets through Hugging Face's `datasets` library, from a local folder or by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.data._folders import PART_NAMES
from nas.data._items import Items, Parts
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

if TYPE_CHECKING:
    from PIL import Image


def open_dataset(location: str) -> Parts:
    """Return the class names and the parts train, validation and test (those there are) of a data set.

    Raises UserError when the data set cannot be loaded, or it has no image column, no
    class label column or no train part.
    """
    datasets = optional_import("datasets", purpose="--data datasets:NAME", extra="data")
    loaded = _load(datasets, location)
    parts = {PART_NAMES[name.lower()]: part for name, part in loaded.items() if name.lower() in PART_NAMES}
    if "train" not in parts:
        raise UserError(f"datasets:{location} has no part named train (it has {', '.join(loaded) or 'none'})")
    features = parts["train"].features
    image_column = _column(features, datasets.Image, location, "image")
    label_column = _column(features, datasets.ClassLabel, location, "class label")
    classes = tuple(features[label_column].names)
    if len(classes) < 2:
        raise UserError(f"datasets:{location} has {len(classes)} class; at least two are needed")
    items = {name: _items(part, name, image_column, label_column, location) for name, part in parts.items()}
    # Public competitions publish their test part without labels (-1); such a part measures nothing.
    used = {name: part for name, part in items.items() if len(part) and part.labels.min() >= 0}
    if "train" not in used:
        raise UserError(f"datasets:{location}: the train part holds images without a label, or none at all")
    unused = sorted({*loaded} - {name for name in loaded if PART_NAMES.get(name.lower()) in used})
    notes = (f"left out: part {', '.join(unused)} (unlabelled, empty or of another name)",) if unused else ()
    return Parts(
        classes=classes, train=used["train"], search=used.get("validation"), test=used.get("test"), notes=notes
    )


def _load(datasets: Any, location: str) -> dict[str, Any]:
    folder = Path(location).expanduser()
    saved = (folder / "dataset_dict.json").exists() or (folder / "state.json").exists()
    try:
        loaded = datasets.load_from_disk(str(folder)) if saved else datasets.load_dataset(location)
    except Exception as error:  # the library raises its readers' own errors of many types
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"datasets:{location} cannot be loaded: {reason}. Expected a local folder (saved by `datasets` or of "
            "images) or a name on the hub with network access"
        ) from error
    return dict(loaded) if isinstance(loaded, dict) else {"train": loaded}


def _column(features: Any, kind: type, location: str, what: str) -> str:
    names = [name for name, feature in features.items() if isinstance(feature, kind)]
    if len(names) != 1:
        found = ", ".join(f"{name} ({type(feature).__name__})" for name, feature in features.items())
        raise UserError(f"datasets:{location} needs exactly one {what} column, found {len(names)} in: {found}")
    return str(names[0])


def _items(part: Any, name: str, image_column: str, label_column: str, location: str) -> Items:
    def open_image(index: int) -> Image.Image:
        image: Image.Image = part[index][image_column]
        return image

    return Items(
        names=tuple(f"{index}" for index in range(len(part))),
        labels=np.asarray(part[label_column], dtype=np.int64),
        open_image=open_image,
        origin=f"datasets:{location} {name}",
        fingerprint=f"{part._fingerprint} {name}",
    )
