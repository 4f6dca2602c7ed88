"""The full scale of the experiments: it starts on images of ImageNet's shape, and says what is missing without them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nas.jobs.reproduce.findings import Findings
from nas.jobs.reproduce.mobilenetv3 import ending, redesign, slim
from nas.jobs.reproduce.mobilenext import cells, equal_latency, placement
from nas.jobs.reproduce.pipeline import Context
from nas.jobs.reproduce.settings import ReproduceSettings, Scale
from searchspace.reference import reference
from searchspace.support.errors import UserError

A1 = str(reference("mnasnet_a1"))
# What the stages before leave: the network that the search found, and NetAdapt's two.
BEFORE = {
    "search": Findings(figures={"found": {"large": {"architecture": A1}}}),
    "netadapt": Findings(figures={name: {"architecture": A1} for name in (slim.A1, slim.FOUND)}),
}
ON_IMAGENET = {
    "netadapt": ("mobilenetv3", slim.run_slimming),
    "redesign": ("mobilenetv3", redesign.run_redesign),
    "end": ("mobilenetv3", ending.run_ending),
    "equal-latency": ("mobilenext", equal_latency.run_equal_latency),
    "placement": ("mobilenext", placement.run_placement),
}


class Started(Exception):
    """The stage has told how far it is for the first time, or that it trains."""


def full(folder, name: str, **given: str | None) -> Context:
    def report(done: float, total: float) -> None:
        assert 0 < done < total
        raise Started

    def say(line: str) -> None:
        if "training the seed" in line:  # whose epochs are told nobody
            raise Started

    settings = ReproduceSettings(experiment=name, scale=Scale.FULL, **given)
    folder.mkdir(exist_ok=True)
    return Context(settings=settings, folder=folder, before=BEFORE, report=report, say=say)


def write_images(folder, classes: tuple[str, ...], count: int, side: int) -> None:
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{name}_{number}.JPEG")


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("imagenet")
    for part, count in (("train", 12), ("val", 2)):
        write_images(folder / part, ("n01440764", "n01443537"), count, 96)
    return f"imagefolder:{folder}"


@pytest.mark.slow
@pytest.mark.parametrize("stage", ON_IMAGENET)
def test_a_stage_starts_on_a_folder_like_imagenet(tmp_path, imagenet, stage):
    name, run = ON_IMAGENET[stage]
    with pytest.raises(Started):
        run(full(tmp_path / stage, name, data=imagenet))


@pytest.mark.slow
def test_cells_start_on_a_folder_like_cifar10(tmp_path):
    rng = np.random.default_rng(0)
    records = rng.integers(0, 255, (5, 8, 3073), dtype=np.uint8)
    records[:, :, 0] = np.arange(8) % 10
    for number, batch in enumerate(records, start=1):
        (tmp_path / f"data_batch_{number}.bin").write_bytes(batch.tobytes())
    (tmp_path / "test_batch.bin").write_bytes(records[0].tobytes())
    with pytest.raises(Started):
        cells.run_cells(full(tmp_path / "cells", "mobilenext", cell_data=f"cifar10:{tmp_path}"))


@pytest.mark.parametrize("stage", ON_IMAGENET)
def test_a_stage_says_that_imagenet_is_missing(tmp_path, stage):
    name, run = ON_IMAGENET[stage]
    with pytest.raises(UserError, match=r"trains on ImageNet: give its folder with --data imagefolder:FOLDER"):
        run(full(tmp_path / stage, name))


def test_cells_say_that_cifar10_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"cells on CIFAR-10: give its folder with --cell-data cifar10:FOLDER"):
        cells.run_cells(full(tmp_path / "cells", "mobilenext", data="imagefolder:X"))
