"""`timm:NAME`: published weights of timm's mobile networks, fetched from the Hugging Face hub once."""

from __future__ import annotations

import json
from pathlib import Path

from nas.weights.info import Preparation
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

PREFIX = "timm:"
# Weights that timm takes for a name without a tag (timm 1.0.31).
DEFAULT_TAGS = {
    "mobilenetv1_100": "ra4_e3600_r224_in1k",
    "mobilenetv2_050": "lamb_in1k",
    "mobilenetv2_100": "ra_in1k",
    "mobilenetv2_140": "ra_in1k",
    "mobilenetv3_large_100": "ra_in1k",
    "mobilenetv3_small_050": "lamb_in1k",
    "mobilenetv3_small_075": "lamb_in1k",
    "mobilenetv3_small_100": "lamb_in1k",
    "tf_mobilenetv3_large_075": "in1k",
    "tf_mobilenetv3_large_100": "in1k",
    "tf_mobilenetv3_small_075": "in1k",
    "tf_mobilenetv3_small_100": "in1k",
    "mnasnet_100": "rmsp_in1k",
    "semnasnet_100": "rmsp_in1k",
    "mobilenetv4_conv_small": "e2400_r224_in1k",
    "mobilenetv4_conv_medium": "e500_r256_in1k",
    "mobilenetv4_conv_large": "e600_r384_in1k",
}


def fetch(name: str) -> tuple[Path, Preparation]:
    """Return the file of a name such as `mobilenetv3_large_100` (or `NAME.TAG`) and how its images are prepared.

    A file that was fetched before is found without a network. Raises UserError where there is none, or no such name.
    """
    model, _, tag = name.partition(".")
    tag = tag or DEFAULT_TAGS.get(model, "")
    if not tag:
        raise UserError(
            f"timm:{name[:60]} needs its tag, as in timm:NAME.TAG; known without: {', '.join(DEFAULT_TAGS)}"
        )
    hub = optional_import("huggingface_hub", purpose=f"--weights timm:{name}", extra="data")
    repository = f"timm/{model}.{tag}"
    try:
        weights, settings = (
            Path(hub.hf_hub_download(repository, file)) for file in ("model.safetensors", "config.json")
        )
        given = json.loads(settings.read_text(encoding="utf-8"))["pretrained_cfg"]
        preparation = Preparation(
            mean=tuple(given["mean"]),
            std=tuple(given["std"]),
            image_size=int(given["input_size"][-1]),
            crop=float(given.get("crop_pct", 0.875)),
        )
    except UserError:
        raise
    except Exception as error:  # the hub's client raises its own and its transport's many types
        reason = str(error).strip().splitlines()[0][:150] if str(error).strip() else type(error).__name__
        raise UserError(
            f"timm:{name}: {repository} cannot be fetched from huggingface.co ({reason}). Without a network, fetch its "
            "model.safetensors elsewhere and give --weights FILE"
        ) from None
    return weights, preparation
