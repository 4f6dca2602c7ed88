"""The options of a command, made from the settings of its job.

    @options_from(SlimSettings, EngineOptions)
    def netadapt(given: Given, json: JsonOption = False) -> None:
        settings = given.make(SlimSettings)

Every field of the classes becomes an option with the field's help, default and place in the help page; two classes may
share a field, which is then asked for once. What the function takes beside `given` are typer's own options.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import Field, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import typer

from nas.options import PANELS, Internal, Option, is_required, options_of
from searchspace.support.errors import UserError

Settings = TypeVar("Settings")
_CONTEXT = "context"


class Given:
    """What a command was given, by the names of its settings' fields; None where an option has no default."""

    def __init__(self, context: typer.Context, values: Mapping[str, Any], required: Iterable[str]) -> None:
        self._context = context
        self._values = values
        self.missing = tuple(name for name in required if values[name] is None)
        """The options without a default that were not given, which only --resume allows."""

    def __getitem__(self, name: str) -> Any:
        """Return the value of a field's option."""
        return self._values[name]

    def was_given(self, name: str) -> bool:
        """Return whether an option stands on the command line."""
        source = self._context.get_parameter_source(name)
        return source is not None and source.name != "DEFAULT"

    def written(self, names: Container[str] | None = None, *, but: Container[str] = ()) -> str:
        """Return those options that were given as they are written, "--data, --epochs": of `names`, or all."""
        parameters = [one for one in self._context.command.params if one.name and self.was_given(one.name)]
        return ", ".join(
            _written(one) for one in parameters if one.name not in but and (names is None or one.name in names)
        )

    def make(self, settings: type[Settings], **more: Any) -> Settings:
        """Return the settings that were given, with `more` in place of or beside them.

        Raises UserError for an option that cannot be read, or where one without a default is missing.
        """
        values: dict[str, Any] = {}
        for name, (_, option, field) in options_of(settings).items():
            if name in more or name not in self._values or isinstance(option, Internal):
                continue
            if self.was_given(name):
                values[name] = _read(self._values[name], option)
            elif is_required(field):
                raise UserError(
                    f"{_name(name, option)} is missing: a new run needs it; an old one goes on by --resume RUN"
                )
        return settings(**values | more)


def options_from(
    *settings: type[Any], **changed: Mapping[str, Any] | None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return what gives a function, whose first parameter is `given`, the options of these settings.

    `changed` says by field what its `Option` is in this command, where it is not quite the same; None leaves it out.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        made: dict[str, inspect.Parameter] = {}
        panels: dict[str, str | None] = {}
        for one in settings:
            for name, (kind, option, field) in options_of(one).items():
                change = changed.get(name, {})
                if isinstance(option, Option) and name not in made and change is not None:
                    here = replace(option, **change)
                    made[name], panels[name] = _parameter(kind, here, field), here.panel
        made = dict(sorted(made.items(), key=lambda item: PANELS.index(panels[item[0]])))
        required = [name for name, parameter in made.items() if parameter.default is inspect.Parameter.empty]
        context = inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        parameters = [context, *made.values(), *keyword]

        def command(**values: Any) -> None:
            given = Given(values.pop(_CONTEXT), {name: values.pop(name) for name in made}, required)
            function(given, **values)

        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def _parameter(kind: Any, option: Option, field: Field[Any]) -> inspect.Parameter:
    """Return a field as a parameter that typer understands."""
    written, default = _written_type(kind, option), field.default
    metavar = "" if written is bool else option.metavar  # a flag takes nothing; typer would say <bool>
    if option.otherwise is not None or default == ():
        default = None
    elif is_required(field):
        default = inspect.Parameter.empty
    if default is None:
        written = written | None
    shown: bool | str = option.otherwise if option.otherwise is not None else default is not inspect.Parameter.empty
    info: Any
    if option.argument:
        info = typer.Argument(metavar=option.metavar, help=option.help, show_default=shown)
    else:
        info = typer.Option(
            _name(field.name, option),
            metavar=metavar,
            help=option.help,
            rich_help_panel=option.panel,
            show_default=shown,
            min=option.least,
            is_eager=option.frees,
            callback=_free_others if option.frees else None,
        )
    annotation = Annotated[written, info]  # type: ignore[valid-type]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _free_others(context: typer.Context, value: bool) -> bool:
    for parameter in context.command.params if value else ():
        parameter.required = False
    return value


def _written_type(kind: Any, option: Option) -> Any:
    """Return the type of what is written on the command line for a field of a type, None aside."""
    if option.parser is not None:
        return str
    inner = [one for one in get_args(kind) if one is not NoneType] if get_origin(kind) in (Union, UnionType) else [kind]
    if len(inner) == 1:
        if get_origin(inner[0]) in (tuple, list, Sequence):
            return list[get_args(inner[0])[0]]  # type: ignore[misc]
        if isinstance(inner[0], type) and issubclass(inner[0], str | int | float | Path):
            return inner[0]
    raise TypeError(f"an option cannot be {kind}")


def _name(field: str, option: Option) -> str:
    return option.names or ((option.metavar or field) if option.argument else f"--{field.replace('_', '-')}")


def _written(parameter: Any) -> str:
    return str(parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar)


def _read(value: Any, option: Option) -> Any:
    if option.parser is not None:
        return option.parser(value)
    return tuple(value) if isinstance(value, list) else value
