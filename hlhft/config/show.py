"""Settings for people and editors: TOML that loads back to the same, a Markdown table, JSON, and the JSON Schema."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

import msgspec

from hlhft.config.load import Loaded
from hlhft.config.settings import Config, Field, fields, sections

_COLUMNS = 116
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def as_toml(loaded: Loaded) -> str:
    """Every setting in force, its meaning, bounds, default and origin as comments; loads back to the same settings."""
    lines = []
    for path, table in sections():
        lines += [*comment(str(table.__doc__)), f"[{path}]"]
        for field in _of_section(path):
            value = field.of(loaded.config)
            origin = loaded.origins.get(field.path)
            lines += comment(str(field.meta.description))
            lines += comment(f"({_bounds(field)}{f'; from {origin}' if origin else ''})")
            name = field.path.rpartition(".")[2]
            lines.append(f"# {name} is left out" if value is None else f"{name} = {toml_value(value)}")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def as_json(loaded: Loaded) -> str:
    """One object: by path each setting's value, default, origin, meaning and what it may be."""
    facts = {
        field.path: {
            "value": field.of(loaded.config),
            "default": field.default,
            "origin": loaded.origins.get(field.path, "default"),
            "meaning": field.meta.description,
            "expected": field.expected,
        }
        for field in fields()
    }
    return json.dumps(facts, indent=2)


def as_markdown() -> str:
    """A section's heading, what it is and a table of its settings, for every section."""
    parts = []
    for path, table in sections():
        parts += [f"## {path}", "", " ".join(str(table.__doc__).split()), ""]
        parts += ["| setting | default | may be | meaning |", "| --- | --- | --- | --- |"]
        for field in _of_section(path):
            name = field.path.rpartition(".")[2]
            default = "left out" if field.default is None else f"`{toml_value(field.default)}`"
            parts.append(f"| `{name}` | {default} | {field.expected} | {field.meta.description} |")
        parts.append("")
    return "\n".join(parts[:-1]) + "\n"


def as_schema() -> str:
    """The JSON Schema of a settings file, for editors that check and complete while one writes."""
    schema: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | msgspec.json.schema(Config), indent=2)


def _of_section(path: str) -> list[Field]:
    return [field for field in fields() if field.path.rpartition(".")[0] == path]


def _bounds(field: Field) -> str:
    default = "left out" if field.default is None else toml_value(field.default)
    return f"{field.expected}; default {default}"


def comment(text: str) -> list[str]:
    """`text` as comment lines; what cannot stand in one, as in a file's odd name, becomes a question mark."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    return [f"# {line}" for line in textwrap.wrap(plain, _COLUMNS, break_long_words=False, break_on_hyphens=False)]


def toml_value(value: Any) -> str:
    """A value of a setting in TOML: a truth, a number, a text, or a list or table of them in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, dict):
        inside = ", ".join(f"{toml_key(name)} = {toml_value(item)}" for name, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, str):
        # JSON's escapes are TOML's too; TOML alone forbids a bare DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    # A default of 150 and a 150.0 that was read are the same setting, and are shown alike.
    return repr(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else repr(value)


def toml_key(name: str) -> str:
    """A name as a key in TOML."""
    return name if _BARE_KEY.fullmatch(name) else toml_value(name)
