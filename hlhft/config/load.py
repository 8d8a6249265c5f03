"""Reads settings: a file in TOML over the defaults, the environment over the file. Every fault is found and said.

`HLHFT__SECTION__KEY` overrides one setting; its value is written as in TOML, texts also without quotes and lists also
as a,b.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from hlhft.config.settings import Config, Field, exact, fields, table_type

PREFIX = "HLHFT__"
FILE_BYTES_MAX = 1 << 20


class ConfigError(ValueError):
    """Settings that cannot be used. `faults` has one sentence a fault, the environment's among the file's."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        more = f" (and {len(faults) - 1} more, see `hlhft config check`)" if len(faults) > 1 else ""
        super().__init__(faults[0] + more)
        self.faults = faults


@dataclass(frozen=True)
class Loaded:
    """Settings in force and, for every setting that is no default, where it comes from."""

    config: Config
    origins: Mapping[str, str]  # by path: the file, or the environment variable


def load(path: Path | None, environment: Mapping[str, str]) -> Loaded:
    """The defaults, overridden by the file at `path`, overridden by what `environment` has under PREFIX.

    Raises ConfigError with every fault found: a file that cannot be read or is no TOML, an unknown setting with the
    nearest one, a value of the wrong type or outside its bounds, a mission's limit loosened, settings that do not fit.
    """
    origins: dict[str, str] = {}
    faults: list[str] = []
    table = {} if path is None else _read(path)
    _note_origins(table, "", str(path), origins)
    _override(table, environment, origins, faults)
    config = _convert(Config, table, "", origins, faults)
    if config is not None and not faults:
        faults += [f"{_source(path, origins)}{sentence}" for path, sentence in _together(config)]
    if config is None or faults:
        raise ConfigError(tuple(faults))
    known = {field.path for field in fields()}
    return Loaded(config, {path: origin for path, origin in origins.items() if path in known})


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.is_file() and path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError((f"{path}: settings are at most {FILE_BYTES_MAX} bytes, this file is larger",))
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError((f"{path}: the file cannot be read: {error.strerror}",)) from None
    except UnicodeDecodeError as error:
        raise ConfigError((f"{path}: byte {error.start} is no UTF-8, which TOML is written in",)) from None
    except RecursionError:
        raise ConfigError((f"{path}: its values are nested too deeply to be settings",)) from None
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError((f"{path}: not TOML: {error}",)) from None


def _note_origins(table: Mapping[str, Any], prefix: str, origin: str, origins: dict[str, str]) -> None:
    for name, value in table.items():
        origins[prefix + name] = origin
        if isinstance(value, dict):
            _note_origins(value, f"{prefix}{name}.", origin, origins)


def _override(
    table: dict[str, Any], environment: Mapping[str, str], origins: dict[str, str], faults: list[str]
) -> None:
    """Puts the environment's settings into the file's table."""
    texts = {field.path for field in fields() if field.expected.startswith(("a text", "one of"))}
    lists = {field.path for field in fields() if field.expected.startswith("a list")}
    for variable in sorted(name for name in environment if name.startswith(PREFIX)):
        if not environment[variable].isprintable():
            faults.append(f"environment variable {variable}: its value holds what cannot be printed; write it anew")
            continue
        *parents, name = variable.removeprefix(PREFIX).lower().split("__")
        inner = table
        for index, parent in enumerate(parents):
            inner = inner.setdefault(parent, {})
            origins.setdefault(".".join(parents[: index + 1]), f"environment variable {variable}")
            if not isinstance(inner, dict):
                break  # the file has a value where a section belongs: its own fault
        else:
            path = ".".join([*parents, name])
            value = _parse(environment[variable], is_text=path in texts)
            is_plain_list = path in lists and isinstance(value, str)
            inner[name] = [item.strip() for item in value.split(",")] if is_plain_list else value
            origins[path] = f"environment variable {variable}"


def _parse(text: str, *, is_text: bool) -> Any:
    """A variable's value as TOML reads it; the text itself where that fails or where a text is wanted."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    # A line break in the value could begin further settings.
    if set(parsed) != {"value"} or (is_text and not isinstance(parsed["value"], str)):
        return text
    return parsed["value"]


def _convert(
    section: type[Struct], table: Mapping[str, Any], prefix: str, origins: Mapping[str, str], faults: list[str]
) -> Any:
    """The section with the table's values; None when something of it is wrong, which `faults` then says."""
    known = {entry.name: entry for entry in msgspec.structs.fields(section)}
    values: dict[str, Any] = {}
    before = len(faults)
    for name, value in table.items():
        path = prefix + name
        source = _source(path, origins)
        if name not in known:
            faults.append(f"{source}{_unknown(prefix, name, known)}")
            continue
        inner = table_type(known[name].type)
        if inner is None:
            try:
                values[name] = _value(Field(path, known[name].type, None), value)
            except ValueError as error:
                faults.append(f"{source}{error}")
        elif isinstance(value, dict):
            values[name] = _convert(inner, value, f"{path}.", origins, faults)
        else:
            faults.append(f"{source}{path} must be a section, not {_shown(value)}; write its fields under [{path}]")
    return section(**values) if len(faults) == before else None


def _source(path: str, origins: Mapping[str, str]) -> str:
    origin = origins.get(path)
    return f"{origin}: " if origin else ""


def _unknown(prefix: str, name: str, known: Mapping[str, Any]) -> str:
    where = f"section {prefix.removesuffix('.')} has" if prefix else "there is"
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"{where} no setting {name!r}, did you mean {near[0]!r}?"
    elsewhere = [field.path for field in fields() if field.path.endswith(f".{name}")]
    if elsewhere:
        return f"{where} no setting {name!r}, did you mean {elsewhere[0]!r}?"
    return f"{where} no setting {name!r}; it has {', '.join(known)}"


def _value(field: Field, value: Any) -> Any:
    """The value as its setting's type. Raises ValueError, one sentence that names the setting."""
    try:
        converted = msgspec.convert(value, field.annotation)
    except (msgspec.ValidationError, OverflowError):
        raise ValueError(_refusal(field, value)) from None
    scale = field.extra.get("scale")
    if scale is not None and converted is not None:
        try:
            exact(converted, scale)
        except ValueError as error:
            raise ValueError(f"{field.path}: {error}, the smallest step; round it") from None
    return converted


def _refusal(field: Field, value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if field.extra.get("mission") and is_number and value > field.meta.le:
        limit = f"set at most {field.meta.le}, not {value}"
        return f"{field.path} is the mission's and can be tightened, never loosened: {limit}"
    wanted = field.expected
    if isinstance(value, str) and "number" in wanted:
        advice = "; write it without quotes and unit"
    elif is_number and wanted.startswith("a text"):
        advice = "; write it in quotes"
    else:
        advice = "; `hlhft config show` explains it"
    return f"{field.path} must be {wanted}, not {_shown(value)}{advice}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _together(config: Config) -> Iterator[tuple[str, str]]:
    """What is wrong between settings that are right by themselves: the path that is named, and the sentence."""
    share = config.limits.share
    total = sum(getattr(share, name) for name in share.__struct_fields__)
    if total > 100:
        yield (
            "limits.share",
            f"limits.share gives away {total} percent, at most 100 can be given; lower one of its shares",
        )
    reserve, actions = config.limits.address_reserve, config.limits.address_actions
    if reserve >= actions:
        sentence = f"limits.address_reserve of {reserve} leaves nothing of {actions} limits.address_actions; lower it"
        yield "limits.address_reserve", sentence
    fitted = config.strategy.fitted
    if fitted.from_ns > fitted.until_ns:
        yield "strategy.fitted.until_ns", "strategy.fitted ends before it begins; write it as hlhft sweep does"
    keys = config.account.key_file, config.watchdog.key_file
    if keys[0] and keys[0] == keys[1]:
        # The venue counts nonces by signer: two processes that share one would refuse each other's actions.
        yield "watchdog.key_file", f"watchdog.key_file is the engine's, {keys[1]}; give the watchdog a key of its own"
    repeated = {coin for coin in config.engine.coins if config.engine.coins.count(coin) > 1}
    if repeated:
        yield "engine.coins", f"engine.coins names {', '.join(sorted(repeated))} more than once; name each once"
