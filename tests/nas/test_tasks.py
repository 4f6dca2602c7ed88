"""Detection and segmentation as tasks: boxes, matching, loss and metric; scenes and annotation files; training."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from latency_lut.tflite.runtime import run_named
from nas.cli.app import app
from nas.data.dense import load_dense, scenes
from nas.tasks import CLASSIFICATION, task_for
from nas.tasks.detection import (
    Detection,
    anchors_of,
    corners,
    decode_boxes,
    detections,
    encode_boxes,
    iou,
    match,
    nms,
)
from nas.tasks.segmentation import IGNORED, Segmentation
from searchspace import UserError
from searchspace.heads import SSDLite, head
from searchspace.weights import load_headed

TINY = (
    "r64,stem_k3_s2_c16_re,ir_k3_s2_h32_c24_re,ir_k3_s2_h72_c32_re,ir_k3_s1_h96_c32_re,ir_k3_s2_h96_c64_re,"
    "ir_k3_s2_h192_c96_re,head_c192_re,n4"
)


# --- boxes ----------------------------------------------------------------------------------------------------------


def test_anchors_lie_in_cells_in_the_order_of_the_outputs():
    anchors = anchors_of(SSDLite(classes=3), 320)
    assert anchors.shape == (3 * 400 + 6 * (100 + 25 + 9 + 4 + 1), 4)
    assert torch.allclose(anchors[0], torch.tensor([0.025, 0.025, 0.1, 0.1]))
    assert torch.allclose(anchors[3, :2], torch.tensor([0.025, 0.075])), "the next cell is to the right"
    assert torch.allclose(anchors[1, 3] / anchors[1, 2], torch.tensor(2.0))
    assert torch.allclose(anchors[-6], torch.tensor([0.5, 0.5, 0.95, 0.95]))


def test_codes_of_boxes_are_undone():
    anchors = anchors_of(SSDLite(classes=3), 96)
    boxes = torch.rand(len(anchors), 4, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.1
    assert torch.allclose(decode_boxes(encode_boxes(boxes, anchors), anchors), boxes, atol=1e-5)


def test_overlap_and_suppression():
    boxes = torch.tensor([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.25], [0.5, 0.5, 1, 1], [0.01, 0, 0.5, 0.5]])
    assert torch.allclose(iou(boxes[:1], boxes)[0, :3], torch.tensor([1.0, 0.5, 0.0]))
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.95]), overlap=0.6).tolist() == [3, 1, 2]
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.95]), overlap=0.6, most=1).tolist() == [3]


def test_every_object_has_an_anchor_and_background_has_none():
    anchors = anchors_of(SSDLite(classes=3), 96)
    targets = torch.tensor([[2, 0.5, 0.5, 0.02, 0.02], [-1, 0, 0, 0, 0]])
    labels, boxes = match(targets, anchors)
    assert labels.sum() == 3 and torch.equal(boxes[labels == 3][0], targets[0, 1:])
    assert match(targets[1:], anchors)[0].sum() == 0


def _perfect(task: Detection, targets: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the outputs of a detector that knows the answers."""
    anchors = task.anchors(torch.device("cpu"))
    matched = [match(one, anchors) for one in targets]
    boxes = torch.stack([encode_boxes(boxes, anchors) for _, boxes in matched])
    scores = torch.stack([20.0 * torch.nn.functional.one_hot(labels, 4) for labels, _ in matched])
    return {"boxes": boxes, "scores": scores}


def test_right_answers_have_no_loss_and_full_map_and_noise_has_neither():
    task = task_for(head("ssdlite", 3), 96)
    assert isinstance(task, Detection)
    targets = load_dense("scenes:20", "detection", 96).train.targets
    outputs = _perfect(task, targets)
    assert task.loss(outputs, targets, 0.0) < 1e-3
    assert task.correct(outputs, targets) == len(targets)
    meter = task.meter()
    meter.update(outputs, targets)
    assert meter.values()["map"] == pytest.approx(100, abs=0.5)
    generator = torch.Generator().manual_seed(0)
    noise = {name: torch.randn(value.shape, generator=generator) for name, value in outputs.items()}
    meter = task.meter()
    meter.update(noise, targets)
    assert meter.values()["map"] < 3 and task.loss(noise, targets, 0.0) > 3
    (found, *_) = detections(outputs, task.anchors(torch.device("cpu")))
    there = targets[0][targets[0, :, 0] >= 0]
    assert iou(corners(there[:, 1:]), found.boxes[: len(there)]).amax(1).min() > 0.99


def test_segmentation_counts_intersection_over_union_of_what_counts():
    task = Segmentation(3)
    targets = torch.tensor([[[0, 0], [1, IGNORED]]])
    scores = torch.nn.functional.one_hot(torch.tensor([[[0, 1], [1, 2]]]), 3).permute(0, 3, 1, 2) * 9.0
    meter = task.meter()
    meter.update({"scores": scores}, targets)
    assert meter.values()["miou"] == pytest.approx(50)  # 1 of 2 for both classes; class 2 occurs in nothing that counts
    assert task.correct({"scores": scores}, targets).item() == pytest.approx(2 / 3)
    assert task.loss({"scores": scores}, targets, 0.0).item() == pytest.approx(3, abs=0.01)


def test_classification_is_a_task_too():
    logits, labels = torch.eye(6) * 5, torch.tensor([0, 1, 2, 3, 4, 0])
    meter = CLASSIFICATION.meter()
    meter.update(logits, labels)
    assert meter.values()["top1"] == pytest.approx(100 * 5 / 6) and CLASSIFICATION.correct(logits, labels) == 5


# --- data -----------------------------------------------------------------------------------------------------------


def test_scenes_follow_from_the_seed_and_boxes_hold_their_masks():
    images, boxes, masks = scenes(5, 64, 0)
    again, _, _ = scenes(5, 64, 0)
    assert np.array_equal(images, again) and not np.array_equal(images, scenes(5, 64, 1)[0])
    for of_image, mask in zip(boxes, masks, strict=True):
        assert 1 <= len(of_image) <= 3 and set(np.unique(mask)) <= {0, *(of_image[:, 0].astype(int) + 1)}
        label, cy, cx, height, width = of_image[-1]  # nothing covers the last
        rows, columns = np.nonzero(mask == label + 1)
        assert abs(rows - 64 * cy).min() <= 32 * height and abs(columns - 64 * cx).min() <= 32 * width


def _coco(folder, count=24):
    """Write scenes in COCO's layout; return the folder."""
    from PIL import Image

    for seed, part in enumerate(("train", "val")):
        images, boxes, _ = scenes(count, 64, seed)
        (folder / part).mkdir(parents=True)
        (folder / "annotations").mkdir(exist_ok=True)
        entries = [{"id": number, "file_name": f"{number}.png", "width": 64, "height": 64} for number in range(count)]
        annotations = []
        for number, of_image in enumerate(boxes):
            Image.fromarray(images[number].transpose(1, 2, 0)).save(folder / part / f"{number}.png")
            for label, cy, cx, height, width in of_image.tolist():
                box = [64 * (cx - width / 2), 64 * (cy - height / 2), 64 * width, 64 * height]
                annotations.append({"image_id": number, "category_id": 10 * (int(label) + 1), "bbox": box})
        categories = [{"id": 10 * (number + 1), "name": name} for number, name in enumerate("abc")]
        document = {"images": entries, "annotations": annotations, "categories": categories}
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(document))
    return folder


def test_coco_files_give_the_boxes_that_were_written(tmp_path):
    data = load_dense(f"coco:{_coco(tmp_path)}", "detection", 32)
    assert data.classes == ("a", "b", "c") and len(data.train) + len(data.search) == 24 and len(data.search) > 0
    _, boxes, _ = scenes(24, 64, 1)
    for row, expected in zip(data.test.targets, boxes, strict=True):
        np.testing.assert_allclose(row[row[:, 0] >= 0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d["annotations"][3].update(bbox=[1, 2, 3]), r"annotations\[3\]: bbox is \[1, 2, 3\], expected four"),
        (lambda d: d["annotations"][3].update(bbox=[60, 0, 10, 5]), r"annotations\[3\]: bbox .* leaves its image"),
        (lambda d: d["annotations"][3].update(bbox=[float("nan"), 0, 1, 1]), r"annotations\[3\]: bbox holds 'nan'"),
        (lambda d: d["annotations"][2].update(category_id=11), r"annotations\[2\]: category_id '11' is not listed"),
        (lambda d: d["annotations"][2].update(image_id=[1]), r"annotations\[2\]: image_id '\[1\]' is not listed"),
        (lambda d: d["images"][1].pop("width"), r"images\[1\] lacks width"),
        (lambda d: d["images"][1].update(id=0), "two entries of images have the id 0"),
        (lambda d: d["images"][1].update(file_name="none.png"), r"there is no image .*none\.png"),
        (lambda d: d.pop("categories"), "expected a list `categories`"),
    ],
)
def test_a_bad_annotation_is_refused_with_its_entry(tmp_path, change, message):
    path = _coco(tmp_path) / "annotations" / "instances_train.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match=message):
        load_dense(f"coco:{tmp_path}", "detection", 32)


def test_a_file_that_is_no_json_is_refused_with_its_line(tmp_path):
    path = _coco(tmp_path) / "annotations" / "instances_train.json"
    path.write_text('{"images": [],\n "annotations": [}\n')
    with pytest.raises(UserError, match=r"instances_train\.json, line 2, column 18: not JSON"):
        load_dense(f"coco:{tmp_path}", "detection", 32)


def _voc(folder, count=24):
    from PIL import Image

    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    (folder / "labels.txt").write_text("background\nsquare\ndisk\ntriangle\n")
    for seed, part in enumerate(("train", "val")):
        images, _, masks = scenes(count, 64, seed)
        names = [f"{part}{number}" for number in range(count)]
        (folder / "ImageSets" / "Segmentation" / f"{part}.txt").write_text("\n".join(names) + "\n")
        for name, image, mask in zip(names, images, masks, strict=True):
            Image.fromarray(image.transpose(1, 2, 0)).save(folder / "JPEGImages" / f"{name}.jpg")
            Image.fromarray(mask.astype(np.uint8)).save(folder / "SegmentationClass" / f"{name}.png")
    return folder


def test_voc_folders_give_the_masks_that_were_written_and_bad_ones_are_refused(tmp_path):
    from PIL import Image

    data = load_dense(f"voc:{_voc(tmp_path)}", "segmentation", 64)
    assert data.classes == ("background", "square", "disk", "triangle")
    assert np.array_equal(data.test.targets.numpy(), scenes(24, 64, 1)[2])
    mask = tmp_path / "SegmentationClass" / "train2.png"
    Image.fromarray(np.full((64, 64), 9, np.uint8)).save(mask)
    with pytest.raises(UserError, match=r"train\.txt, line 3: .*train2\.png holds class 9, but there are 4"):
        load_dense(f"voc:{tmp_path}", "segmentation", 64)
    mask.unlink()
    with pytest.raises(UserError, match=r"train\.txt, line 3: there is no .*train2\.png"):
        load_dense(f"voc:{tmp_path}", "segmentation", 64)


# --- training -------------------------------------------------------------------------------------------------------


def _train(out, *words: str):
    return CliRunner().invoke(app, ["train", TINY, "--out", str(out), "--json", *words])


def test_segmentation_learns_scenes_and_its_file_segments_as_torch_does(tmp_path):
    run = tmp_path / "run"
    found = _train(run, "--task", "segmentation", "--data", "scenes:200", "--epochs", "4")
    assert found.exit_code == 0, found.stderr
    result = json.loads(found.stdout)
    assert result["test"]["metric"] == "miou" and result["test"]["value"] > 40, "all background is below 25 %"
    module, notes = load_headed(run / "headed.safetensors")
    assert json.loads(notes["labels"]) == ["background", "square", "disk", "triangle"]
    images = load_dense("scenes:200", "segmentation", 64).test.images_at(torch.arange(4))
    with torch.no_grad():
        expected = module.eval()(images)["scores"].argmax(1)
    answers = run_named(run / "model.tflite", np.moveaxis(images.numpy(), 1, -1))["scores"].argmax(-1)
    assert (answers == expected.numpy()).mean() > 0.999
    onnx = CliRunner().invoke(
        app, ["export", str(run), "--format", "onnx", "--out", str(tmp_path / "m.onnx"), "--json"]
    )
    exported = json.loads(onnx.stdout)
    assert exported["weights"] == "trained" and exported["usage"]["outputs"]["scores"]["shape"] == [1, 4, 64, 64]
    words = ("export", str(run), "--precision", "int8", "--out", str(tmp_path / "m8.tflite"), "--json")
    quantised = json.loads(CliRunner().invoke(app, words).stdout)
    assert quantised["calibration"] == "128 training images of scenes:200"
    score = quantised["score"]
    assert score["metric"] == "miou" and score["torch"] == pytest.approx(result["test"]["value"])
    assert abs(score["file"] - score["torch"]) < 5 and score["images"] == result["test"]["count"]


def test_detection_runs_from_end_to_end_and_goes_on_where_it_stopped(tmp_path):
    words = ("--task", "detection", "--data", "scenes:64", "--epochs", "2")
    found = _train(tmp_path / "whole", *words)
    assert found.exit_code == 0, found.stderr
    result = json.loads(found.stdout)
    assert set(result["test"]["values"]) == {"map", "map50"}
    assert set(result["export"]["usage"]["outputs"]) == {"boxes", "scores"} and result["export"]["weights"] == "trained"
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert lines[1]["train_loss"] < lines[0]["train_loss"] and lines[0]["search"]["metric"] == "map"
    (tmp_path / "whole" / "result.json").unlink()
    again = json.loads(CliRunner().invoke(app, ["train", "--resume", str(tmp_path / "whole"), "--json"]).stdout)
    assert again["test"] == result["test"]


@pytest.mark.slow
def test_detection_learns_scenes_of_other_seeds(tmp_path):
    words = ("--task", "detection", "--data", "scenes:600", "--image-size", "96", "--epochs", "12")
    result = json.loads(_train(tmp_path / "run", *words).stdout)
    assert result["test"]["value"] > 30 and result["test"]["values"]["map50"] > 60


@pytest.mark.parametrize(
    "words, message",
    [
        (("--task", "detection", "--data", "voc:x"), "holds masks, for --task segmentation"),
        (("--task", "segmentation", "--data", "coco:x"), "holds boxes, for --task detection"),
        (("--task", "detection", "--data", "digits"), "expected one of: scenes"),
        (("--task", "detection", "--data", "scenes:3"), "10 to 100000"),
        (("--task", "detection", "--data", "coco:none"), "expected one file annotations/instances_train"),
        (("--task", "detection", "--data", "scenes", "--head", "lraspp"), "is for segmentation, not for detection"),
        (("--task", "depth", "--data", "scenes"), "expected one of classification, detection, segmentation"),
        (("--task", "detection", "--data", "scenes", "--precision", "int8"), "only for --task classification"),
        (("--data", "digits", "--head", "ssdlite"), "goes with --task"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(tmp_path, words, message):
    found = _train(tmp_path / "run", *words)
    assert found.exit_code == 2 and message in " ".join(found.stderr.split())
    assert not (tmp_path / "run").exists()
