"""What `nas train` was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nas.training.recipes import Recipe, recipe


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What `nas train` was asked for; the same settings give the same numbers on one machine.

    `learning_rate`, `batch_size`, `clip_norm` and `epochs` replace the recipe's where given (a batch size
    scales the recipe's learning rate). `image_size` replaces the network's own resolution (below 64 px it only
    stands in for it); `drop_strides` says how many first strides of 2 become 1 (default: none from 64 px on, see
    `searchspace.low_resolution`). `precision` is that of the exported file, by default that of the latency table
    for which the run given as `network` was searched, else float32.
    """

    network: str
    data: str
    recipe: str = "short"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    clip_norm: float | None = None
    seed: int = 0
    image_size: int | None = None
    subset: int | None = None
    weights: str | None = None
    from_scratch: bool = False
    drop_strides: int | None = None
    precision: str | None = None

    def chosen_recipe(self) -> Recipe:
        """Return the recipe with what the settings replace; raises UserError for impossible values."""
        chosen = recipe(self.recipe, self.epochs)
        if self.batch_size is not None:
            chosen = chosen.with_batch_size(self.batch_size)
        if self.learning_rate is not None:
            chosen = replace(chosen, learning_rate=self.learning_rate)
        if self.clip_norm is not None:
            chosen = replace(chosen, clip_norm=self.clip_norm)
        return chosen
