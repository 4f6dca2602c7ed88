"""State dicts of timm and torchvision: the mapped network computes what the library's own module computes.

The slow test needs timm without its dependency torchvision: pip install --no-deps timm==1.0.31
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

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
