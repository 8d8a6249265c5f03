"""Logs: one JSON object a line on standard error, or a readable line on a terminal; redacted; never in the way.

The logging thread puts a record into a bounded queue and goes on; a thread of its own formats, redacts and writes it. A
full queue loses the record and counts it, and the count is logged when there is room. As arguments are rendered later,
log values, not things that change.

`HLHFT_LOG=hlhft.live=info,hlhft.data=debug,warning` sets levels: by module, its submodules included, and for the rest.

Keys never belong into a log. Should one come near, it does not get through: what looks like a private key, a WireGuard,
age, AWS, GitHub or PEM secret, the value of anything named like a secret, and bytes. Rather too much is taken out than
too little: a hash is as long as a key.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import logging
import math
import queue
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from typing import Any, TextIO

VARIABLE = "HLHFT_LOG"
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
QUEUE_MAX = 10_000  # records; a full queue drops the newest and counts it
TEXT_MAX = 8192  # letters of a message, field or traceback, after redaction; the rest is counted
ITEMS_MAX = 64  # of a collection in a field
DEPTH_MAX = 4  # of collections in collections
REDACTED = "[redacted]"


class LogError(ValueError):
    """A specification of log levels that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Levels:
    """A level for everything, and levels for modules and what is inside them."""

    default: int = logging.WARNING
    modules: Mapping[str, int] = field(default_factory=dict)


def parse_levels(text: str) -> Levels:
    """The levels that `text` names, as in `hlhft.live=info,warning`. Raises LogError."""
    default, modules = logging.WARNING, {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        module, separator, level = (piece.strip() for piece in part.rpartition("="))
        if separator and not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", module):
            raise LogError(f"{VARIABLE}: {module!r} is no name of a module, expected one as in hlhft.live=info")
        if level.lower() not in LEVELS:
            near = difflib.get_close_matches(level.lower(), LEVELS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(LEVELS)}"
            raise LogError(f"{VARIABLE}: {level!r} is no level, {hint}")
        if separator:
            modules[module] = LEVELS[level.lower()]
        else:
            default = LEVELS[level.lower()]
    return Levels(default, modules)


# A secret is known by its name, up to the sign after it, quoted or not, in a text inside a text too; what follows is
# taken out: what is quoted, what is in brackets, or all to the next space. No pattern looks far for what is not there,
# so that a long text costs no more than its length.
_NAME = (
    r"(?:key(?!error|board)|secret|passw(?:or)?d|passphrase|token|credential|mnemonic|authorization|cookie)[\w-]{0,32}"
)
_SIGN = r"\\*[\"']?\s*(?:[:=]>?)\s*"
_QUOTED = (
    r"[bBrRuUfF]{0,2}(?:\\+\"[\s\S]*?(?:\\+\"|$)|\\+'[\s\S]*?(?:\\+'|$)"
    r"|\"(?:\\[\s\S]|[^\"\\])*(?:\"|\\?$)|'(?:\\[\s\S]|[^'\\])*(?:'|\\?$))"
)
_SECRET_NAME = re.compile(rf"(?i){_NAME}")
_SECRET_NAME_BEFORE = re.compile(rf"(?i){_NAME}{_SIGN}[\"']?$")
_BASE64 = r"[A-Za-z0-9+/_-]"
_PATTERNS = (
    (re.compile(r"-----BEGIN[^-]*PRIVATE KEY-----[\s\S]*?(?:-----END[^-]*-----|$)"), REDACTED),
    (re.compile(rf"(?i)(authorization{_SIGN})(?:{_QUOTED}|.*)"), rf"\1{REDACTED}"),
    (re.compile(rf"(?i)({_NAME}{_SIGN})(?:{_QUOTED}|[\[({{][^\])}}]*[\])}}]?|\S+)"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)\b(bearer)\s+\S+"), rf"\1 {REDACTED}"),
    (re.compile(r"://[^/\s:@]{0,256}:[^/\s]{0,256}@"), f"://{REDACTED}@"),
    (re.compile(r"(?<!\w)b(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\")"), f"b{REDACTED}"),
    (re.compile(r"(?i)AGE-SECRET-KEY-[0-9A-Z]+"), REDACTED),
    (re.compile(r"(?:AKIA|ASIA)[0-9A-Z]{16,}"), REDACTED),
    (re.compile(r"(?:gh[pousr]|github_pat)_\w{20,}"), REDACTED),
    # A private key is 32 bytes; written as a number it may have lost leading zeros.
    (re.compile(r"(?:0[xX])?[0-9a-fA-F]{56,}"), REDACTED),
    # WireGuard's keys: 32 bytes in base64.
    (re.compile(rf"(?<!{_BASE64}){_BASE64}{{42,}}={{1,2}}"), REDACTED),
    # AWS's secret keys, 40 letters of base64, and longer ones. A path of that length seldom has capitals, small letters
    # and digits; an account's address has, is public, and stays.
    (
        re.compile(
            r"(?<![A-Za-z0-9+/])(?!0x[0-9a-fA-F]{40}(?![A-Za-z0-9+/]))(?=[a-z0-9+/]*[A-Z])(?=[A-Z0-9+/]*[a-z])"
            r"(?=[A-Za-z+/]*[0-9])[A-Za-z0-9+/]{40,}"
        ),
        REDACTED,
    ),
)


def redact(text: str) -> str:
    """`text` without anything that looks like a secret."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


_PLACEHOLDER = re.compile(r"%(?:\(([^)]*)\))?[#0 +-]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?[a-zA-Z%]")


def render(record: logging.LogRecord) -> str:
    """The record's message with its arguments, redacted. Raises what formatting raises when they do not fit."""
    if not record.args:
        return redact(str(record.msg))
    if isinstance(record.args, Mapping):
        return redact(_template(str(record.msg), []) % record.args)
    values = list(record.args)
    return redact(_template(str(record.msg), values) % tuple(values))


def _template(message: str, values: list[Any]) -> str:
    """The message with REDACTED for every placeholder that stands behind a secret's name or has one; `values`, those
    without names, lose theirs.

    In `password=%s` one sees where the value ends; in what it renders to, one does not.
    """
    parts, done, index = [], 0, 0
    for found in _PLACEHOLDER.finditer(message):
        if found[0] == "%%":
            continue
        index += found[0].count("*")
        secret = _SECRET_NAME_BEFORE.search(message[max(found.start() - 200, 0) : found.start()]) is not None
        if secret or _SECRET_NAME.search(found[1] or ""):
            parts += [message[done : found.start()], REDACTED if found[1] is not None else "%s"]
            done = found.end()
            if found[1] is None and index < len(values):
                values[index] = REDACTED
        index += 1
    return "".join([*parts, message[done:]])


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """What a record says, redacted and bounded: time, level, module, message, and where there are any, the fields of
    `extra` and the exception. Raises what formatting raises."""
    said: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
        "level": record.levelname.lower(),
        "module": record.name,
        "message": _bounded(render(record)),
    }
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if extra:
        said["fields"] = _plain(extra, 0)
    if record.exc_info:
        said["exception"] = _bounded(redact(logging.Formatter().formatException(record.exc_info)))
    return said


def _bounded(text: str) -> str:
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]} ... ({len(text) - TEXT_MAX} more letters)"


def _plain(value: Any, depth: int) -> Any:
    """A field's value as JSON has it, redacted and bounded."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # A number of more than 64 bits is no count of anything; it may be a key.
        return int(value) if abs(value) < 1 << 64 else redact(hex(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        if depth == DEPTH_MAX:
            return "..."
        if isinstance(value, Mapping):
            pairs = list(value.items())[:ITEMS_MAX]
            return {
                _bounded(redact(str(name))): REDACTED if _SECRET_NAME.search(str(name)) else _plain(item, depth + 1)
                for name, item in pairs
            }
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(item, depth + 1) for item in list(items)[:ITEMS_MAX]]
    return _bounded(redact(str(value)))


class JsonLines(logging.Formatter):
    """One JSON object a record, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's facts in one line."""
        return json.dumps(facts(record))


class ReadableLines(logging.Formatter):
    """Time of day, level, module, message and fields in one line; an exception's lines indented below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's facts; what could steer a terminal is escaped."""
        said = facts(record)
        fields = "".join(f" {name}={json.dumps(value)}" for name, value in said.get("fields", {}).items())
        line = f"{said['time'][11:23]} {said['level']:<7} {said['module']}: {said['message']}{fields}"
        below = said.get("exception", "").splitlines()
        return "\n".join([_printable(line), *(f"    {_printable(text)}" for text in below)])


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class _Writer(logging.StreamHandler[TextIO]):
    """Writes records; of one that cannot be rendered its place alone, as what it holds is not known to be safe."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Names the record's place and the kind of error, nothing of what it says."""
        kind = sys.exc_info()[0]
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more
            name = kind.__name__ if kind else "error"
            self.stream.write(f"a log record from {record.pathname}:{record.lineno} cannot be rendered: {name}\n")


class _Queued(QueueHandler):
    """Puts records into the queue as they are; counts those that it has no room for. logging holds its lock."""

    def __init__(self, records: queue.Queue[Any]) -> None:
        super().__init__(records)
        self.records, self.dropped = records, 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record itself: rendering is the other thread's work."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Puts the record into the queue, or counts it as lost; never waits."""
        try:
            self.records.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _Listener(QueueListener):
    """Writes what is queued, in a thread of its own, and says how many records were lost as soon as it can."""

    def __init__(self, source: _Queued, writer: _Writer) -> None:
        super().__init__(source.records, writer)
        self._source, self._reported = source, 0

    def handle(self, record: logging.LogRecord) -> None:
        """Writes the record, after how many were lost before it."""
        self.report_lost()
        super().handle(record)

    def report_lost(self) -> None:
        """Writes how many records were lost since this was last said, if any."""
        lost = self._source.dropped - self._reported
        if lost > 0:
            self._reported += lost
            text = "%d log records were lost: the queue of %d was full"
            lost_and_size = (lost, self._source.records.maxsize)
            super().handle(logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, lost_and_size, None))

    def enqueue_sentinel(self) -> None:
        """Puts the end into the queue."""
        self._source.records.put(None)  # waits for room, which the thread makes


class Logs:
    """Logging of this process to `stream`, from entering it as a context to leaving it."""

    def __init__(
        self, stream: TextIO, environment: Mapping[str, str], *, queue_max: int = QUEUE_MAX, as_json: bool | None = None
    ) -> None:
        """JSON unless the stream is a terminal, or as `as_json` says. Raises LogError for a wrong HLHFT_LOG."""
        self._from_environment = VARIABLE in environment
        self._levels = parse_levels(environment.get(VARIABLE, ""))
        as_json = not stream.isatty() if as_json is None else as_json
        writer = _Writer(stream)
        writer.setFormatter(JsonLines() if as_json else ReadableLines())
        self._handler = _Queued(queue.Queue(queue_max))
        self._listener = _Listener(self._handler, writer)
        self._before: dict[str, int] = {}

    def configure(self, level: str, modules: Mapping[str, str]) -> None:
        """Levels by name, of the settings; HLHFT_LOG, where it is set, goes before them."""
        if not self._from_environment:
            self._reset_levels()
            self._levels = Levels(LEVELS[level], {name: LEVELS[text] for name, text in modules.items()})
            self._set_levels()

    def __enter__(self) -> Logs:
        self._set_levels()
        logging.getLogger().addHandler(self._handler)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self._handler)
        self._listener.stop()
        self._listener.report_lost()
        self._reset_levels()

    def _set_levels(self) -> None:
        # Libraries say what concerns their own makers; only what goes wrong in them is ours, unless they are named.
        levels = {"": max(self._levels.default, logging.WARNING), "hlhft": self._levels.default, **self._levels.modules}
        for name, level in levels.items():
            logger = logging.getLogger(name)
            self._before[name] = logger.level
            logger.setLevel(level)

    def _reset_levels(self) -> None:
        for name, level in self._before.items():
            logging.getLogger(name).setLevel(level)
        self._before = {}
