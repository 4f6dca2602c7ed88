"""Whatever `nas` reads, damaged at random: a value or one sentence, quickly and in little memory."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latency_lut.tflite.read import read_graph
from nas.data import load_data
from nas.data._coco import open_coco
from nas.data._decode import open_rgb
from nas.data._folders import open_image_folder
from nas.data._items import Items
from nas.data._voc import open_voc
from nas.evaluators import load_table_evaluator
from nas.export import export_network
from nas.jobs.cells.settings import resolve_cells
from nas.jobs.rank.truth import published
from nas.jobs.reproduce.netadapt_truth.table import LAYERS, QUARTERS, digits_at, read_truth
from nas.predictor import load_accuracy_table, load_predictor
from nas.predictor._store import shipped_predictor
from nas.training.checkpoint import Checkpoints, read_checkpoint
from nas.weights import Preparation, WeightsInfo, open_weights
from searchspace.modules import build_network
from searchspace.space import load_space
from searchspace.support.testing import ReaderConformance
from searchspace.text import parse
from searchspace.weights import save_weights

TINY = parse("r32,stem_k3_s2_c8_hs,ir_k3_s2_h16_c16_re,ir_k5_s1_h32_c16_re_se8,head_c32_h24_hs,n5")


# --- images and labels ----------------------------------------------------------------------------------------------


def image_bytes(form: str) -> bytes:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8))
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    noise.save(buffer, form, exif=exif)
    return buffer.getvalue()


class ImageConformance(ReaderConformance):
    form = ""

    def write(self, folder: Path) -> Path:
        (folder / "image").write_bytes(image_bytes(self.form))
        return folder / "image"

    def read(self, path: Path) -> object:
        content = path.read_bytes()
        items = Items(
            names=("x",), labels=np.zeros(1, np.int64), origin="o", fingerprint="",
            open_image=lambda _: Image.open(io.BytesIO(content)),
        )  # fmt: skip
        return open_rgb(items, 0, 8)


for _form in ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP"):
    globals()[f"Test{_form}"] = type(f"Test{_form}", (ImageConformance,), {"form": _form})


def image_folder(folder: Path) -> None:
    for shade, name in enumerate(("cat", "dog")):
        for index in range(3):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 10), (40 * shade + index, 99, 40)).save(folder / name / f"{index}.png")


def read_images(place: Path) -> object:
    parts = open_image_folder(place)
    return [open_rgb(parts.train, index, 8).size for index in range(len(parts.train))]


class TestZipOfImages(ReaderConformance):
    def write(self, folder: Path) -> Path:
        image_folder(folder / "images")
        with zipfile.ZipFile(folder / "x.zip", "w") as archive:
            for file in sorted((folder / "images").rglob("*.png")):
                archive.write(file, file.relative_to(folder / "images"))
        return folder / "x.zip"

    def read(self, path: Path) -> object:
        return read_images(path)


class TestLabels(ReaderConformance):
    def write(self, folder: Path) -> Path:
        image_folder(folder)
        names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*.png"))
        rows = "".join(f"{name},{number % 3}\n" for number, name in enumerate(names))
        (folder / "labels.csv").write_text("file,class_index\n" + rows)
        return folder / "labels.csv"

    def read(self, path: Path) -> object:
        return read_images(path.parent)


class TestBinaryCifar(ReaderConformance):
    def write(self, folder: Path) -> Path:
        rng = np.random.default_rng(0)
        for name in [*(f"data_batch_{index}.bin" for index in range(1, 6)), "test_batch.bin"]:
            table = rng.integers(0, 256, (8, 3073), dtype=np.uint8)
            table[:, 0] %= 10
            table.tofile(folder / name)
        return folder / "data_batch_2.bin"

    def read(self, path: Path) -> object:
        return load_data(f"cifar10:{path.parent}")


def coco(folder: Path) -> Path:
    for part in ("train", "val"):
        (folder / part).mkdir(parents=True)
        (folder / "annotations").mkdir(exist_ok=True)
        images = [{"id": number, "file_name": f"{number}.png", "width": 16, "height": 16} for number in range(20)]
        for number in range(20):
            Image.new("RGB", (16, 16), (number, 9, 9)).save(folder / part / f"{number}.png")
        boxes = [{"image_id": number, "category_id": 1 + number % 2, "bbox": [1, 2, 3, 4]} for number in range(20)]
        categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
        document = {"images": images, "annotations": boxes, "categories": categories}
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(document))
    return folder / "annotations" / "instances_train.json"


class TestCoco(ReaderConformance):
    def write(self, folder: Path) -> Path:
        return coco(folder)

    def read(self, path: Path) -> object:
        return open_coco(str(path.parent.parent), 16, 0, None)


def voc(folder: Path) -> None:
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    (folder / "labels.txt").write_text("background\nsquare\ndisk\n")
    for part in ("train", "val"):
        names = [f"{part}{number}" for number in range(20)]
        (folder / "ImageSets" / "Segmentation" / f"{part}.txt").write_text("\n".join(names) + "\n")
        for number, name in enumerate(names):
            Image.new("RGB", (16, 16), (number, 9, 9)).save(folder / "JPEGImages" / f"{name}.jpg")
            Image.new("L", (16, 16), number % 3).save(folder / "SegmentationClass" / f"{name}.png")


class VocConformance(ReaderConformance):
    def read(self, path: Path) -> object:
        return open_voc(str(next(p for p in path.parents if (p / "ImageSets").is_dir())), 16, 0, None)


class TestVocList(VocConformance):
    def write(self, folder: Path) -> Path:
        voc(folder)
        return folder / "ImageSets" / "Segmentation" / "train.txt"


class TestVocMask(VocConformance):
    def write(self, folder: Path) -> Path:
        voc(folder)
        return folder / "SegmentationClass" / "train3.png"


# --- weights and models ---------------------------------------------------------------------------------------------


def tiny_network() -> torch.nn.Module:
    network = build_network(TINY, seed=0)
    network.train()(torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    return network.eval()


class WeightsConformance(ReaderConformance):
    def read(self, path: Path) -> object:
        opened = open_weights(path, TINY)
        assert all(bool(torch.isfinite(t).all()) for t in opened.state.values() if t.is_floating_point())
        return opened


class TestSafetensors(WeightsConformance):
    def write(self, folder: Path) -> Path:
        info = WeightsInfo(
            source="", labels=tuple("abcde"), preparation=Preparation(mean=(0.5,) * 3, std=(0.5,) * 3, image_size=32)
        )
        save_weights(tiny_network(), folder / "w.safetensors", **info.file_notes())
        return folder / "w.safetensors"


class TestTFLiteWeights(WeightsConformance):
    def write(self, folder: Path) -> Path:
        pytest.importorskip("ai_edge_litert")
        export_network(tiny_network(), folder / "w.tflite", trained=True)
        return folder / "w.tflite"


class TestTFLiteGraph(TestTFLiteWeights):
    def read(self, path: Path) -> object:
        return read_graph(path)


class TestNpz(WeightsConformance):
    def write(self, folder: Path) -> Path:
        arrays = {}
        layers = [m for m in tiny_network().modules() if hasattr(m, "weight") and m.weight.ndim > 1]
        for number, layer in enumerate(layers):
            weight = layer.weight.detach().numpy()
            depthwise = weight.ndim == 4 and weight.shape[1] == 1 and weight.shape[0] > 1
            if weight.ndim == 4:
                weight = weight.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
            arrays[f"{number:02d}_w"] = weight
            arrays[f"{number:02d}_b"] = np.zeros(layer.weight.shape[0], np.float32)
        np.savez(folder / "w.npz", **arrays)
        return folder / "w.npz"


class TestStateDict(ReaderConformance):
    """timm's names of a network with a stem, one separable block and a classifier."""

    network = parse("r32,stem_k3_s2_c8_r6,ds_k3_s1_c16_r6,head_c16_r6,n5")

    def write(self, folder: Path) -> Path:
        shapes = {
            "conv_stem": (8, 3, 3, 3), "blocks.0.0.conv_dw": (8, 1, 3, 3), "blocks.0.0.conv_pw": (16, 8, 1, 1),
            "conv_head": (16, 16, 1, 1),
        }  # fmt: skip
        norms = {"bn1": 8, "blocks.0.0.bn1": 8, "blocks.0.0.bn2": 16, "bn2": 16}
        state = {f"{name}.weight": torch.randn(shape) for name, shape in shapes.items()}
        for name, width in norms.items():
            for part in ("weight", "bias", "running_mean", "running_var"):
                state[f"{name}.{part}"] = torch.rand(width) + 0.5
        state |= {"classifier.weight": torch.randn(5, 16), "classifier.bias": torch.zeros(5)}
        torch.save(state, folder / "w.pth")
        return folder / "w.pth"

    def read(self, path: Path) -> object:
        return open_weights(path, self.network)


class TestCheckpoint(ReaderConformance):
    def write(self, folder: Path) -> Path:
        Checkpoints(path=folder / "checkpoint.pt").save({"step": 3, "weights": torch.ones(40)}, {"seed": "0"})
        return folder / "checkpoint.pt"

    def read(self, path: Path) -> object:
        return read_checkpoint(path)


# --- accuracies and networks ----------------------------------------------------------------------------------------


class TestPredictor(ReaderConformance):
    def write(self, folder: Path) -> Path:
        shipped = Path(str(load_predictor.__code__.co_filename)).parent / "data" / "mnasnet.json"
        (folder / "predictor.json").write_bytes(shipped.read_bytes())
        return folder / "predictor.json"

    def read(self, path: Path) -> object:
        return load_predictor(path)


class TestAccuracyTable(ReaderConformance):
    def write(self, folder: Path) -> Path:
        layout = shipped_predictor("mobilenetv3").layout
        header = [column.name for column in layout.columns]
        row = [str(column.values[-1]) for column in layout.columns]
        lines = [",".join([*header, layout.accuracy]), *(",".join([*row, f"7{n}.5"]) for n in range(5))]
        (folder / "accuracies.csv").write_text("\n".join(lines) + "\n")
        return folder / "accuracies.csv"

    def read(self, path: Path) -> object:
        return load_accuracy_table(path)


class MacroTable(ReaderConformance):
    def write(self, folder: Path) -> Path:
        rows = [f"{number:08d},{70 + number / 10},{71 + number / 10}" for number in range(10, 22) if number != 13]
        rows = [row for row in rows if set(row.split(",")[0]) <= set("012")]
        (folder / "table.csv").write_text("\n".join(["choices,top1_seed0,top1_seed1", *rows]) + "\n")
        return folder / "table.csv"


class TestTableOfASpace(MacroTable):
    def read(self, path: Path) -> object:
        return load_table_evaluator(path, load_space("macro"))


class TestPublishedAccuracies(MacroTable):
    def read(self, path: Path) -> object:
        return published(path, load_space("macro"), 5)


class TestWidthAccuracies(ReaderConformance):
    few, many = 20, 1000  # a file is 16,384 lines long

    def write(self, folder: Path) -> Path:
        rows = [f"{digits_at(n)},{80 + n % 7},{80.5 + n % 7},{1e6 + n}" for n in range(QUARTERS**LAYERS)]
        (folder / "widths.csv").write_text("\n".join(["# made up", "arch,acc1,acc2,madds", *rows]) + "\n")
        return folder / "widths.csv"

    def read(self, path: Path) -> object:
        return read_truth(path)


class TestCells(ReaderConformance):
    def write(self, folder: Path) -> Path:
        (folder / "cell.txt").write_text(str(resolve_cells("darts_v2")) + "\n")
        return folder / "cell.txt"

    def read(self, path: Path) -> object:
        return resolve_cells(str(path.parent))
