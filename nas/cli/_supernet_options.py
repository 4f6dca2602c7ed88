"""The options of a search on images, shared by `nas search --data` and `nas rank`."""

from __future__ import annotations

from typing import Annotated

import typer

from nas.data_kinds import DATA_KINDS

DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help=f"Search on images: {DATA_KINDS}.",
    ),
]
ImageSizeOption = Annotated[
    int | None,
    typer.Option(
        "--image-size", help="Pixels a side; default: the space's largest resolution (of smaller images: theirs)."
    ),
]
SubsetOption = Annotated[int | None, typer.Option("--subset", metavar="N", help="Use only N training images.")]
ModeOption = Annotated[str, typer.Option("--supernet-training", help="single-path, fair, sandwich or shrinking.")]
WarmUpOption = Annotated[
    float, typer.Option("--warm-up", help="Share of the training in which all choices are warmed up.")
]
KernelTransformOption = Annotated[
    bool, typer.Option("--kernel-transform", help="Learn a matrix between kernel sizes, as Once-for-All does.")
]
SupernetOption = Annotated[
    str | None,
    typer.Option("--supernet", metavar="RUN", help="Start from the supernet of an earlier run (--epochs may be 0)."),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Start from a pretrained network: .tflite, .safetensors, .npz, .pth; default --space: around it.",
    ),
]
TeacherEpochsOption = Annotated[
    int, typer.Option("--teacher-epochs", help="Passes over the images: fine-tuning the pretrained network first.")
]
TeacherShareOption = Annotated[
    float,
    typer.Option("--teacher-share", help="Part that the pretrained network's answers have in what is learnt; 0: none."),
]
EpochsOption = Annotated[
    int | None,
    typer.Option("--epochs", help="Passes over the images: the supernet; default: 10, or what makes 400 steps."),
]
WinnerEpochsOption = Annotated[int, typer.Option("--winner-epochs", help="Passes over the images: the network found.")]
SearchImagesOption = Annotated[
    int, typer.Option("--search-images", metavar="N", help="Images of the search split that score a network.")
]
FromScratchOption = Annotated[
    bool, typer.Option("--from-scratch", help="Train the network found from scratch, not from the supernet.")
]
