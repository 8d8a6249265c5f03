"""Grafana's schema as its SDK states it, applied strictly: every field is known, and of the type that is stated.

The SDK's models read JSON leniently: what they do not know they drop, what is missing they fill in, and what has the
wrong type they keep. So each object is read by the model that its place calls for, must come out as it went in, and
each of its fields is held against the type in the model's annotations.
"""

from __future__ import annotations

import json
import types
import typing
from enum import Enum, StrEnum
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.cog.runtime import UnknownDataquery
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import dashboard, prometheus

register_default_plugins()
SDK = "grafana_foundation_sdk"
Faults = list[str]


def plain(value: object) -> Any:
    """The value as JSON has it."""
    return json.loads(JSONEncoder().encode(value))


def dashboard_faults(content: object) -> Faults:
    """What is wrong in a dashboard's JSON, each fault with its place; empty for one that keeps the schema."""
    return faults(content, dashboard.Dashboard, "dashboard")


def faults(value: object, hint: Any, where: str) -> Faults:
    """What keeps `value`, JSON or a model of the SDK, from being of the type `hint`."""
    origin = typing.get_origin(hint)
    if hint is Any or hint is object:
        # Left open by the schema: of options of a panel the SDK has read a model, by the panel's type.
        return model_faults(value, where) if type(value).__module__.startswith(SDK) else []
    if origin in (typing.Union, types.UnionType):
        return union_faults(value, typing.get_args(hint), where)
    if origin is typing.Literal:
        return [] if value in typing.get_args(hint) else [f"{where}: {value!r} is none of {typing.get_args(hint)}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        (kind,) = typing.get_args(hint)
        return [fault for index, each in enumerate(value) for fault in faults(each, kind, f"{where}[{index}]")]
    if origin is dict:
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is no object"]
        key, kind = typing.get_args(hint)
        return [
            fault
            for name, each in value.items()
            for fault in (*faults(name, key, f"{where} key"), *faults(each, kind, f"{where}.{name}"))
        ]
    return class_faults(value, hint, where)


def union_faults(value: object, kinds: tuple[Any, ...], where: str) -> Faults:
    """None where one of the kinds fits; else what the kind with the fewest faults says."""
    if value is None and type(None) in kinds:
        return []
    some = [kind for kind in kinds if kind is not type(None)]
    if type(value) in some:  # a model that was read already says itself which it is
        return faults(value, type(value), where)
    return min((faults(value, kind, where) for kind in some), key=len)


def class_faults(value: object, kind: Any, where: str) -> Faults:
    """Of a model, an enumeration, or a plain type; a whole number is a float, and a truth value is no number."""
    if issubclass(kind, Enum):
        values = [member.value for member in kind]
        return [] if value in values and type(value) is not bool else [f"{where}: {value!r} is none of {values}"]
    if kind is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        return [] if fits else [f"{where}: {value!r} is no number"]
    if kind is str and isinstance(value, StrEnum):
        return []
    if kind in (str, int, bool, type(None)):
        return [] if type(value) is kind else [f"{where}: {value!r} is no {kind.__name__}"]
    if kind is Dataquery:
        kind = prometheus.Dataquery
        if isinstance(value, UnknownDataquery):
            value = plain(value)
    return model_faults(value, where, kind)


def model_faults(value: object, where: str, kind: Any = None) -> Faults:
    """Of a model that was read already, or of JSON that `kind` is to read."""
    if isinstance(value, dict):
        if kind is dashboard.Panel and value.get("type") == "row":
            return [f"{where}: a row is no panel"]
        try:
            read = kind.from_json(value)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return [f"{where}: no {kind.__name__} ({type(error).__name__}: {error})"]
        found = differences(value, plain(read), where)
    else:
        read, found = value, []
        if kind is not None and not isinstance(value, kind):
            return [f"{where}: {value!r} is no {kind.__name__}"]
    hints = typing.get_type_hints(type(read))
    for name, each in vars(read).items():
        found += (
            faults(each, hints[name], f"{where}.{name}") if name in hints else [f"{where}.{name}: not in the schema"]
        )
    return found


def differences(written: Any, read: Any, where: str) -> Faults:
    """Where two JSON values differ: fields that the schema does not know, and those that it misses."""
    if isinstance(written, dict) and isinstance(read, dict):
        found = [f"{where}.{name}: not in the schema" for name in written.keys() - read.keys()]
        found += [f"{where}.{name}: missing" for name in read.keys() - written.keys()]
        for name in sorted(written.keys() & read.keys()):
            found += differences(written[name], read[name], f"{where}.{name}")
        return found
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        pairs = enumerate(zip(written, read, strict=True))
        return [fault for index, (one, other) in pairs for fault in differences(one, other, f"{where}[{index}]")]
    return [] if written == read else [f"{where}: {written!r} is read as {read!r}"]
