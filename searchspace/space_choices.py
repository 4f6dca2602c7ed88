"""The choices of a space file in order: what is left open in each stage, and under which conditions it matters."""

from __future__ import annotations

from typing import Any

from searchspace.choices import Choice, Condition
from searchspace.space_file import Option, SpaceSpec, Stage
from searchspace.stage_plan import Binding, StagePlan, width_bindings
from searchspace.support.errors import UserError


class ChoiceList:
    """The choices that a space file leaves open, listed stage by stage; `plans` says what each stage does with them.

    Raises UserError where the file contradicts itself.
    """

    def __init__(self, spec: SpaceSpec) -> None:
        self.spec = spec
        self.choices: list[Choice] = []
        self.index: dict[str, int] = {}
        self._list("resolution", spec.resolutions)
        self.plans = tuple(self._walk(stage) for stage in spec.stages)

    def _list(self, path: str, values: tuple[Any, ...], when: tuple[Condition, ...] = ()) -> None:
        if len(values) > 1:
            self.index[path] = len(self.choices)
            self.choices.append(Choice(path, values, when))

    def _walk(self, stage: Stage) -> StagePlan:
        """List a stage's choices."""
        self._list(f"{stage.name}/block", tuple(option.name for option in stage.options))
        self._list(f"{stage.name}/depth", stage.depths)
        names = dict.fromkeys(name for option in stage.options for name in option.fields)
        for name in names:
            if name not in self.spec.per_layer:
                self._list_field(stage, name, None)
        layers = range(stage.depths[-1]) if stage.options else ()
        for layer in layers:
            for name in names:
                if name in self.spec.per_layer or (layer == 0 and any(name in o.first for o in stage.options)):
                    self._list_field(stage, name, layer)
        bindings = tuple(tuple(self._bind(stage, option, k) for option in stage.options) for k in layers)
        return StagePlan(
            stage=stage,
            block_at=self.index.get(f"{stage.name}/block"),
            depth_at=self.index.get(f"{stage.name}/depth"),
            layers=bindings,
            widths=width_bindings(bindings[0]) if bindings else (),
        )

    def _list_field(self, stage: Stage, name: str, layer: int | None) -> None:
        """List the choice of one field, for the options that leave it open and the depths that have the layer."""
        open_options = {o.name: self._field_values(o, name, layer) for o in stage.options}
        open_options = {key: values for key, values in open_options.items() if len(values) > 1}
        if not open_options:
            return
        if len(set(open_options.values())) > 1:
            raise UserError(f"{self.spec.name}: the options of {stage.name} list different values for {name}")
        when = []
        if len(open_options) < len(stage.options):
            when.append(Condition(f"{stage.name}/block", frozenset(open_options)))
        # A field that layer 0 overrides exists only in stages deep enough to have another layer.
        overridden = layer is None and all(name in o.first for o in stage.options if o.name in open_options)
        at_least = 2 if overridden else (layer or 0) + 1
        deep = frozenset(depth for depth in stage.depths if depth >= at_least)
        if deep != frozenset(stage.depths):
            when.append(Condition(f"{stage.name}/depth", deep))
        path = f"{stage.name}/{name}" if layer is None else f"{stage.name}/layer{layer}/{name}"
        self._list(path, next(iter(open_options.values())), tuple(when))

    def _field_values(self, option: Option, name: str, layer: int | None) -> tuple[Any, ...]:
        if layer == 0 and name in option.first:
            return option.first[name]
        if layer is not None and name not in self.spec.per_layer:
            return ()
        return option.fields.get(name, ())

    def _bind(self, stage: Stage, option: Option, layer: int) -> tuple[Binding, ...]:
        bindings = []
        for name, values in option.fields.items():
            own = self._field_values(option, name, layer)
            path = f"{stage.name}/layer{layer}/{name}" if own else f"{stage.name}/{name}"
            values = own or values
            bindings.append(Binding(name, values, self.index[path] if len(values) > 1 else None))
        return tuple(bindings)
