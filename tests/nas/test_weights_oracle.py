"""State dicts of timm and torchvision: the mapped network computes what the library's own module computes.

The slow test needs timm without its dependency torchvision: pip install --no-deps timm==1.0.31
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from nas.weights import open_weights
from searchspace.blocks import Padding
from searchspace.modules import empty_network
from searchspace.reference import reference
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError

RELU6_V1 = str(reference("mobilenet_v1")).replace("_re", "_r6")
MODELS = [
    ("tf_mobilenetv3_large_100", "mobilenet_v3_large"),
    ("tf_mobilenetv3_small_100", "mobilenet_v3_small"),
    ("mobilenetv1_100", RELU6_V1),
    ("mobilenetv2_100", "mobilenet_v2"),
    ("mobilenetv3_large_100", "mobilenet_v3_large"),
    ("mobilenetv3_small_100", "mobilenet_v3_small"),
    ("mnasnet_100", "mnasnet_b1"),
    ("semnasnet_100", "mnasnet_a1"),
    ("mobilenetv4_conv_small", "mobilenet_v4_conv_small"),
    ("mobilenetv4_conv_medium", "mobilenet_v4_conv_medium"),
]


class _StandIn(types.ModuleType):
    """A module in which every name is an empty class: timm's networks need nothing of torchvision."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        modes = {mode.upper(): mode for mode in ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")}
        made = type(name, (), {"__init__": lambda self, *a, **k: None, **modes})
        setattr(self, name, made)
        return made


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        ours = name.partition(".")[0] == "torchvision"
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if ours else None

    def create_module(self, spec: Any) -> types.ModuleType:
        module = _StandIn(spec.name)
        module.__version__ = "0"  # type: ignore[attr-defined]
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


@pytest.fixture()
def timm() -> Iterator[Any]:
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield pytest.importorskip("timm")
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]


def randomised(network: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            torch.nn.init.normal_(module.bias, 0, 0.1, generator=generator)
    return network.eval()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pth", "safetensors"])
@pytest.mark.parametrize(("name", "network"), MODELS)
def test_the_mapped_network_computes_what_timms_computes(
    timm: Any, tmp_path: Path, name: str, network: str, form: str
) -> None:
    theirs = randomised(timm.create_model(name, pretrained=False))
    path = tmp_path / f"{name}.{form}"
    if form == "pth":
        torch.save(theirs.state_dict(), path)
    else:
        from safetensors.torch import save_file

        save_file(theirs.state_dict(), path)
    opened = open_weights(path, resolve_network(network))
    ours = empty_network(opened.architecture)
    ours.load_state_dict(opened.state)
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = theirs(images), ours.eval()(images)
    assert (found - expected).abs().max() <= 1e-4 * max(1.0, expected.abs().max().item())
    assert opened.architecture.padding is (Padding.SAME if name.startswith("tf_") else Padding.SYMMETRIC)


def torchvision_v2_state() -> dict[str, torch.Tensor]:
    """Names and shapes of torchvision's MobileNetV2, as its state dict lists them."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, torch.Tensor] = {}

    def conv(name: str, *shape: int) -> None:
        state[f"{name}.weight"] = torch.randn(*shape, generator=generator) * 0.1

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{part}"] = torch.rand(channels, generator=generator) + 0.5

    def layer(name: str, norm_name: str, *shape: int) -> None:
        conv(name, *shape)
        norm(norm_name, shape[0])

    layer("features.0.0", "features.0.1", 32, 3, 3, 3)
    place, before = 1, 32
    for expansion, out, count in ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)):
        for _ in range(count):
            at, hidden, inner = f"features.{place}.conv", before * expansion, 0
            if expansion > 1:
                layer(f"{at}.0.0", f"{at}.0.1", hidden, before, 1, 1)
                inner = 1
            layer(f"{at}.{inner}.0", f"{at}.{inner}.1", hidden, 1, 3, 3)
            layer(f"{at}.{inner + 1}", f"{at}.{inner + 2}", out, hidden, 1, 1)
            place, before = place + 1, out
    layer("features.18.0", "features.18.1", 1280, 320, 1, 1)
    conv("classifier.1", 1000, 1280)
    state["classifier.1.bias"] = torch.zeros(1000)
    return state


def test_torchvisions_names_are_put_in_running_order(tmp_path: Path) -> None:
    state = torchvision_v2_state()
    torch.save(dict(reversed(state.items())), tmp_path / "v2.pth")
    opened = open_weights(tmp_path / "v2.pth", reference("mobilenet_v2"))
    assert opened.architecture == reference("mobilenet_v2").with_padding(Padding.SYMMETRIC)
    assert torch.equal(opened.state["blocks.16.project.conv.weight"], state["features.17.conv.2.weight"])
    assert torch.equal(opened.state["head.conv.norm.running_var"], state["features.18.1.running_var"])


def convolution(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)


def named_as_v3(before: int, after: int, kernel: int, stride: int, groups: int, activation: nn.Module) -> nn.Sequential:
    """Convolution, batch norm and activation as torchvision's MobileNetV3 numbers them, with its epsilon."""
    norm = nn.BatchNorm2d(after, eps=0.001, momentum=0.01)
    return nn.Sequential(convolution(before, after, kernel, stride, groups), norm, activation)


class TorchvisionSqueeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(8, (channels // 4 + 4) // 8 * 8)
        squeezed += 8 if squeezed < 0.9 * (channels // 4) else 0
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate: torch.Tensor = self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu())
        return x * functional.hardsigmoid(gate)


class TorchvisionBlock(nn.Module):
    """`block` of MobileNetV3, `layers` of MnasNet."""

    def __init__(self, name: str, layers: list[nn.Module], shortcut: bool) -> None:
        super().__init__()
        self.add_module(name, nn.Sequential(*layers))
        self.name, self.shortcut = name, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.get_submodule(self.name)(x)
        return out + x if self.shortcut else out


V3_SMALL = [
    (3, 16, 16, True, "RE", 2), (3, 72, 24, False, "RE", 2), (3, 88, 24, False, "RE", 1), (5, 96, 40, True, "HS", 2),
    (5, 240, 40, True, "HS", 1), (5, 240, 40, True, "HS", 1), (5, 120, 48, True, "HS", 1), (5, 144, 48, True, "HS", 1),
    (5, 288, 96, True, "HS", 2), (5, 576, 96, True, "HS", 1), (5, 576, 96, True, "HS", 1),
]  # fmt: skip
V3_LARGE = [
    (3, 16, 16, False, "RE", 1), (3, 64, 24, False, "RE", 2), (3, 72, 24, False, "RE", 1), (5, 72, 40, True, "RE", 2),
    (5, 120, 40, True, "RE", 1), (5, 120, 40, True, "RE", 1), (3, 240, 80, False, "HS", 2),
    (3, 200, 80, False, "HS", 1), (3, 184, 80, False, "HS", 1), (3, 184, 80, False, "HS", 1),
    (3, 480, 112, True, "HS", 1), (3, 672, 112, True, "HS", 1), (5, 672, 160, True, "HS", 2),
    (5, 960, 160, True, "HS", 1), (5, 960, 160, True, "HS", 1),
]  # fmt: skip


def torchvision_v3(blocks: list[tuple[int, int, int, bool, str, int]], last: int) -> nn.Module:
    """MobileNetV3 as torchvision numbers its layers (kernel, expanded, out, squeeze, activation, stride)."""
    layers: list[nn.Module] = [named_as_v3(3, 16, 3, 2, 1, nn.Hardswish())]
    before = 16
    for kernel, expanded, out, squeeze, name, stride in blocks:
        activation = nn.Hardswish if name == "HS" else nn.ReLU
        inner: list[nn.Module] = []
        if expanded != before:
            inner.append(named_as_v3(before, expanded, 1, 1, 1, activation()))
        inner.append(named_as_v3(expanded, expanded, kernel, stride, expanded, activation()))
        inner += [TorchvisionSqueeze(expanded)] if squeeze else []
        inner.append(named_as_v3(expanded, out, 1, 1, 1, nn.Identity()))
        layers.append(TorchvisionBlock("block", inner, stride == 1 and out == before))
        before = out
    layers.append(named_as_v3(before, 6 * before, 1, 1, 1, nn.Hardswish()))
    classifier = nn.Sequential(nn.Linear(6 * before, last), nn.Hardswish(), nn.Dropout(), nn.Linear(last, 1000))
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(OrderedDict(features=nn.Sequential(*layers), avgpool=pool, classifier=classifier))


def torchvision_mnasnet() -> nn.Module:
    """MnasNet 1.0 as torchvision numbers its layers."""

    def part(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
        return [convolution(before, after, kernel, stride, groups), nn.BatchNorm2d(after)]

    layers = [*part(3, 32, 3, 2), nn.ReLU(), *part(32, 32, 3, 1, 32), nn.ReLU(), *part(32, 16, 1)]
    before = 16
    for out, kernel, stride, ratio, count in (
        (24, 3, 2, 3, 3), (40, 5, 2, 3, 3), (80, 5, 2, 6, 3), (96, 3, 1, 6, 2), (192, 5, 2, 6, 4), (320, 3, 1, 6, 1)
    ):  # fmt: skip
        stack: list[nn.Module] = []
        for number in range(count):
            hidden, step = before * ratio, stride if number == 0 else 1
            inner = [
                *part(before, hidden, 1), nn.ReLU(), *part(hidden, hidden, kernel, step, hidden), nn.ReLU(),
                *part(hidden, out, 1),
            ]  # fmt: skip
            stack.append(TorchvisionBlock("layers", inner, step == 1 and out == before))
            before = out
        layers.append(nn.Sequential(*stack))
    layers += [*part(320, 1280, 1), nn.ReLU()]
    pool, classifier = (
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Sequential(nn.Dropout(), nn.Linear(1280, 1000)),
    )
    return nn.Sequential(OrderedDict(layers=nn.Sequential(*layers), pool=pool, classifier=classifier))


@pytest.mark.parametrize(
    ("network", "theirs", "tensors"),
    [
        ("mobilenet_v3_large", lambda: torchvision_v3(V3_LARGE, 1280), 312),
        ("mobilenet_v3_small", lambda: torchvision_v3(V3_SMALL, 1024), 244),
        ("mnasnet_b1", torchvision_mnasnet, 314),
    ],
)
def test_the_mapped_network_computes_what_torchvisions_computes(
    tmp_path: Path, network: str, theirs: Callable[[], nn.Module], tensors: int
) -> None:
    torch.manual_seed(0)
    made = randomised(theirs())
    state = made.state_dict()
    assert len(state) == tensors
    torch.save(dict(sorted(state.items())), tmp_path / "theirs.pth")
    opened = open_weights(tmp_path / "theirs.pth", reference(network))
    assert opened.architecture.padding is Padding.SYMMETRIC
    assert opened.info.preparation is not None and opened.info.preparation.mean == (0.485, 0.456, 0.406)
    ours = empty_network(opened.architecture.with_resolution(64))
    ours.load_state_dict(opened.state)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected, found = made(images), ours.eval()(images)
    assert (found - expected).abs().max() <= 1e-4 * max(1.0, expected.abs().max().item())


def test_pickled_code_and_other_names_are_refused(tmp_path: Path) -> None:
    torch.save({"a": Path("x")}, tmp_path / "code.pth")
    with pytest.raises(UserError, match="no file of tensors alone"):
        open_weights(tmp_path / "code.pth", reference("mobilenet_v2"))
    torch.save({"encoder.weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"its first tensor is 'encoder.weight'"):
        open_weights(tmp_path / "other.pth", reference("mobilenet_v2"))
    whole = {name: tensor.to(torch.int8) for name, tensor in torchvision_v2_state().items()}
    torch.save(whole, tmp_path / "whole.pth")
    with pytest.raises(UserError, match=r"'features.0.0.weight' holds torch.int8 numbers without a scale"):
        open_weights(tmp_path / "whole.pth", reference("mobilenet_v2"))


def test_without_a_network_the_hub_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def unreachable(*_: str) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(hub, "hf_hub_download", unreachable)
    with pytest.raises(UserError, match=r"cannot be fetched from huggingface.co \(no route to host\)"):
        open_weights("timm:mobilenetv3_large_100", reference("mobilenet_v3_large"))
    with pytest.raises(UserError, match="needs its tag"):
        open_weights("timm:resnet50", reference("mobilenet_v3_large"))
