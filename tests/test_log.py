"""Logs: levels by module, one JSON object a line, bounded, never blocking, and no secret gets through."""

from __future__ import annotations

import io
import json
import logging
import queue
import string
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft import log
from hlhft.log import ITEMS_MAX, REDACTED, TEXT_MAX, LogError, Logs, facts, parse_levels, redact, render

LOGGER = logging.getLogger("hlhft.test_log")


def logged(say, environment=None, **options) -> list[dict]:
    """What `say` logs, each line as its object."""
    stream = io.StringIO()
    with Logs(stream, {"HLHFT_LOG": "debug"} if environment is None else environment, **options):
        say()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def record(message: object, *arguments: object, **extra: object) -> logging.LogRecord:
    return LOGGER.makeRecord(LOGGER.name, logging.INFO, "f.py", 1, message, arguments, None, extra=extra)


# Levels.


def test_levels_by_module_and_for_the_rest() -> None:
    levels = parse_levels("hlhft.live=info, hlhft.data=DEBUG,warning")
    assert levels.default == logging.WARNING
    assert levels.modules == {"hlhft.live": logging.INFO, "hlhft.data": logging.DEBUG}
    assert parse_levels("error") == log.Levels(logging.ERROR, {})
    assert parse_levels("") == parse_levels(" , ") == log.Levels(logging.WARNING, {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hlhft.live=inf", "HLHFT_LOG: 'inf' is no level, did you mean 'info'?"),
        ("loud", "HLHFT_LOG: 'loud' is no level, give one of debug, info, warning, error"),
        ("hlhft.live=", "HLHFT_LOG: '' is no level, give one of debug, info, warning, error"),
        ("=info", "HLHFT_LOG: '' is no name of a module, expected one as in hlhft.live=info"),
        ("hlhft live=info", "HLHFT_LOG: 'hlhft live' is no name of a module, expected one as in hlhft.live=info"),
    ],
)
def test_a_wrong_specification_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(LogError) as refused:
        Logs(io.StringIO(), {"HLHFT_LOG": text})
    assert str(refused.value) == sentence


def say_at_every_level() -> None:
    for name in ("hlhft.live.wire", "hlhft.livery", "hlhft.data", "hlhft.core", "another.library"):
        for level in ("debug", "info", "warning"):
            getattr(logging.getLogger(name), level)(level)


def said(lines: list[dict]) -> dict[str, list[str]]:
    return {
        name: [line["level"] for line in lines if line["module"] == name] for name in {line["module"] for line in lines}
    }


def test_each_module_is_heard_from_its_level_on() -> None:
    lines = logged(say_at_every_level, {"HLHFT_LOG": "hlhft.live=info,hlhft.data=debug,warning"})
    assert said(lines) == {
        "hlhft.live.wire": ["info", "warning"],
        "hlhft.livery": ["warning"],
        "hlhft.data": ["debug", "info", "warning"],
        "hlhft.core": ["warning"],
        "another.library": ["warning"],
    }


def test_libraries_are_heard_when_they_are_named_only() -> None:
    assert said(logged(say_at_every_level, {"HLHFT_LOG": "debug"}))["another.library"] == ["warning"]
    assert said(logged(say_at_every_level, {"HLHFT_LOG": "debug,another=info"}))["another.library"] == [
        "info",
        "warning",
    ]
    assert "another.library" not in said(logged(say_at_every_level, {"HLHFT_LOG": "error"}))


def test_settings_set_levels_unless_the_environment_does() -> None:
    for environment, expected in (
        ({}, ["debug", "info", "warning"]),
        ({"HLHFT_LOG": "hlhft.data=info"}, ["info", "warning"]),
    ):
        stream = io.StringIO()
        with Logs(stream, environment) as logs:
            logs.configure("error", {"hlhft.data": "debug"})
            say_at_every_level()
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert said(lines)["hlhft.data"] == expected
        assert ("hlhft.core" in said(lines)) == bool(environment)


def test_leaving_restores_what_was_before() -> None:
    loggers = [logging.getLogger(name) for name in ("", "hlhft", "hlhft.data")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    threads = threading.active_count()
    logged(say_at_every_level, {"HLHFT_LOG": "info,hlhft.data=debug"})
    assert [(logger.level, list(logger.handlers)) for logger in loggers] == before
    assert threading.active_count() == threads


# Lines.


def test_a_line_has_time_level_module_message_and_fields() -> None:
    (line,) = logged(lambda: LOGGER.warning("%d orders for %s", 3, "BTC", extra={"market": "BTC", "lots": 5}))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "module": "hlhft.test_log",
        "message": "3 orders for BTC",
        "fields": {"market": "BTC", "lots": 5},
    }


def test_the_time_is_the_record_s_own() -> None:
    item = record("x")
    item.created = 1_700_000_000.25
    assert facts(item)["time"] == "2023-11-14T22:13:20.250000+00:00"


def test_an_exception_comes_with_its_trace() -> None:
    def fail() -> None:
        try:
            raise KeyError("depth")
        except KeyError:
            LOGGER.exception("failed")

    (line,) = logged(fail)
    assert line["message"] == "failed"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("KeyError: 'depth'")


def test_fields_of_any_kind_become_json_within_bounds() -> None:
    deep: list = []
    for _ in range(10):
        deep = [deep]
    fields = facts(
        record(
            "x", truth=True, nothing=None, ratio=0.5, odd=float("nan"), many=range(3), large=2**64, key_name=1,
            raw=b"\x01\x02", pairs={1: {"password": "p", "n": [1, 2.5]}}, some={3, 1, 2}, deep=deep, text="y" * 9000,
            long=list(range(1000)), view=memoryview(b"abc"),
        )
    )["fields"]  # fmt: skip
    assert (fields["truth"], fields["nothing"], fields["ratio"], fields["odd"]) == (True, None, 0.5, "nan")
    assert fields["many"] == "range(0, 3)"
    assert fields["large"] == "0x10000000000000000"
    assert fields["key_name"] == REDACTED
    assert (fields["raw"], fields["view"]) == ("2 bytes", "3 bytes")
    assert fields["pairs"] == {"1": {"password": REDACTED, "n": [1, 2.5]}}
    assert fields["some"] == [1, 2, 3]
    assert json.dumps(fields["deep"]) == '[[["..."]]]'
    assert fields["text"] == "y" * TEXT_MAX + f" ... ({9000 - TEXT_MAX} more letters)"
    assert fields["long"] == list(range(ITEMS_MAX))


def test_a_terminal_gets_readable_lines_that_cannot_steer_it() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Logs(stream, {}):
        LOGGER.warning("two\nlines \x1b[31mred", extra={"market": "B\x1bTC"})
        try:
            raise ValueError("one\x07\ntwo")
        except ValueError:
            LOGGER.exception("failed")
    first, second, *trace = stream.getvalue().splitlines()
    assert first[12:] == ' warning hlhft.test_log: two\\nlines \\x1b[31mred market="B\\u001bTC"'
    assert second[12:] == " error   hlhft.test_log: failed"
    assert trace[0] == "    Traceback (most recent call last):"
    assert trace[-2:] == ["    ValueError: one\\x07", "    two"]


def test_a_record_that_cannot_be_rendered_is_named_by_its_place_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own handler renders at once

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("password=hidden")

    stream = io.StringIO()
    with Logs(stream, {}):
        LOGGER.warning("%d", "hidden")
        LOGGER.warning("%s", Odd())
        LOGGER.warning("after")
    one, two, three = stream.getvalue().splitlines()
    assert one.startswith("a log record from ") and one.endswith("cannot be rendered: TypeError")
    assert two.endswith("cannot be rendered: RuntimeError")
    assert json.loads(three)["message"] == "after"
    assert "hidden" not in stream.getvalue()


# Out of the way.


class Held(io.StringIO):
    """A stream whose reader has stopped reading, until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.reached = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.reading.wait(30)
        return super().write(text)


def test_a_full_queue_never_blocks_loses_the_newest_and_says_how_many() -> None:
    stream = Held()
    with Logs(stream, {}, queue_max=4):
        LOGGER.warning("held")
        assert stream.reached.wait(30)
        for number in range(10):
            LOGGER.warning("%d", number)  # comes back although nothing is written
        assert stream.getvalue() == ""
        stream.reading.set()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["message"] for line in lines] == [
        "held", "6 log records were lost: the queue of 4 was full", "0", "1", "2", "3",
    ]  # fmt: skip
    assert (lines[1]["module"], lines[1]["level"]) == ("hlhft.log", "warning")


def test_records_lost_at_the_very_end_are_counted_too() -> None:
    stream = io.StringIO()
    with Logs(stream, {}, queue_max=4) as logs:
        logs._handler.dropped = 3
    assert json.loads(stream.getvalue())["message"] == "3 log records were lost: the queue of 4 was full"


def test_the_logging_thread_renders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own handler renders at once
    rendered: list[str] = []

    class Watched:
        def __str__(self) -> str:
            rendered.append(threading.current_thread().name)
            return "watched"

    (line,) = logged(lambda: LOGGER.warning("%s", Watched()))
    assert line["message"] == "watched"
    assert rendered and threading.current_thread().name not in rendered


def test_a_reader_that_goes_away_stops_nothing() -> None:
    stream = io.StringIO()
    with Logs(stream, {}):
        stream.close()
        LOGGER.warning("nobody reads this")


def test_the_queue_is_bounded() -> None:
    assert isinstance(Logs(io.StringIO(), {})._handler.records, queue.Queue)
    assert Logs(io.StringIO(), {})._handler.records.maxsize == log.QUEUE_MAX


# Secrets.

HEX = st.text("0123456789abcdefABCDEF", min_size=64, max_size=64)
BASE64 = string.ascii_letters + string.digits + "+/"
PRIVATE_KEYS = st.one_of(
    HEX, HEX.map("0x{}".format), HEX.map("0X{}".format), st.integers(2**232, 2**256 - 1).map(hex),
    st.integers(2**232, 2**256 - 1).map(str),
)  # fmt: skip
WIREGUARD = st.text(BASE64, min_size=43, max_size=43).map("{}=".format)
AGE = st.text(string.ascii_uppercase + string.digits, min_size=58, max_size=58).map("AGE-SECRET-KEY-1{}".format)
AWS_ID = st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16).map("AKIA{}".format)
AWS_SECRET = (
    st.text(BASE64, min_size=37, max_size=37).flatmap(lambda text: st.permutations([*text, "q", "Q", "7"])).map("".join)
)
GITHUB = st.text(string.ascii_letters + string.digits, min_size=36, max_size=36).map("ghp_{}".format)
# A letter that occurs nowhere else stands at both ends of a body, whose lines may be as short as a part of the time.
PEM = st.text(BASE64 + "\n", min_size=20, max_size=200).map(
    lambda body: "-----BEGIN EC PRIVATE " + f"KEY-----\n\u2021{body}\u2021\n-----END EC PRIVATE " + "KEY-----"
)
UNNAMED = st.one_of(PRIVATE_KEYS, WIREGUARD, AGE, AWS_ID, AWS_SECRET, GITHUB, PEM)
AROUND = st.text(st.sampled_from(" ,;:'\"()[]{}<>\n\tghz.-"), max_size=12)
NAMES = st.sampled_from(
    [
        "key",
        "secret",
        "password",
        "private_key",
        "API-KEY",
        "aws_secret_access_key",
        "Token",
        "passphrase",
        "secret_key_hex",
    ]
)
# A value that occurs nowhere else, so that finding it means that it got through.
PLAIN = st.text(
    st.characters(categories=["Lu", "Ll", "Nd", "Po", "Sm"], exclude_characters="%"), min_size=1, max_size=20
).map(lambda text: f"\u2021{text}\u2021".replace("\\", "/"))
QUIET = settings(max_examples=200, deadline=None)


def everything(item: logging.LogRecord) -> str:
    """All that any line of the record could hold."""
    return json.dumps(facts(item), ensure_ascii=False)


def telling(secret: str) -> str:
    """What must not be seen of a secret: all of it, or what marks the body of a PEM key."""
    return "\u2021" if "\u2021" in secret else secret


@QUIET
@given(UNNAMED, AROUND, AROUND)
def test_what_looks_like_a_secret_never_appears(secret: str, before: str, after: str) -> None:
    for item in (
        record(before + secret + after),
        record("%s", before + secret + after),
        record("%s%s", before, secret),
        record("%(a)s", {"a": secret}),
        record("x", field=before + secret, inside={"a": [secret]}),
        record({"a": secret}),
        record("x", names={secret: 1}),
    ):
        assert telling(secret) not in everything(item)


@QUIET
@given(NAMES, PLAIN, st.sampled_from(["=", ": ", " = ", ":", '": "', "' : '", "=>"]), AROUND)
@example("password", "\u2021'\u2021", "=", "")
def test_the_value_of_what_is_named_like_a_secret_never_appears(name: str, value: str, sign: str, before: str) -> None:
    quoted = value.replace('"', "x").replace("'", "x")
    for item in (
        record(f"{before}{name}{sign}{quoted} and more"),
        record(f"{before}{name}='{quoted} with spaces {quoted}'"),
        record(f'{before}"{name}": "{quoted} \\" {quoted}"'),
        record(json.dumps({"data": json.dumps({name: f"{quoted} {quoted}"})})),
        record(repr({name: f"{value} {value}"})),
        record(f"{name}{sign.strip(chr(34) + chr(39))}%s", f"{value} {value}"),
        record(f"%*d {name}=%s.", 3, 4, value),
        record(f"%(given)s {name}=%(odd)s", {"given": 1, "odd": f"{value} {value}"}),
        record("%(" + name + ")s", {name: f"{value} {value}"}),
        record("x", **{name: f"{value} {value}", "deeper": {name: [value]}}),
    ):
        assert value not in everything(item)
        assert quoted not in everything(item)


@QUIET
@given(
    PLAIN,
    st.sampled_from(["Bearer", "Basic", "Digest", ""]),
    st.sampled_from(["Authorization: ", "authorization=", '"Authorization": "']),
)
def test_an_authorization_never_appears(value: str, scheme: str, header: str) -> None:
    value = value.replace('"', "x")
    for text in (f"{header}{scheme} {value}, {value}", f"GET / {header}{scheme} {value}\nHost: here"):
        assert value not in everything(record(text))
    assert value not in everything(record(f"sent bearer {value}"))
    assert value not in everything(record("sent %s", f"Bearer {value}"))


@QUIET
@given(UNNAMED, PLAIN)
@example("-----BEGIN EC PRIVATE " + "KEY-----\n\u202100\n\u2021\n-----END EC PRIVATE " + "KEY-----", "\u20210\u2021")
def test_neither_appears_in_an_exception_s_text(secret: str, value: str) -> None:
    try:
        try:
            raise ValueError(f"cannot use {secret}")
        except ValueError as error:
            raise RuntimeError({"password": value}) from error
    except RuntimeError as error:
        item = record("failed")
        item.exc_info = (type(error), error, error.__traceback__)
    text = everything(item)
    assert "RuntimeError" in text
    assert telling(secret) not in text
    assert value not in text


@pytest.mark.parametrize(
    "text",
    [
        "b'\\x00abc'", "secret bytes b\"it's\" here", "https://user:p@ss@host/path", "password:\n  hunter2",
        'password="unclosed hunter2', "password='hunter2\\", "token=[hunter2, hunter2]", "cookie: hunter2",
        '{\\"password\\": \\"hunter2 hunter2\\"}', "key = b'hunter2 hunter2'", '"authorization": "Digest\nhunter2"',
    ],
)  # fmt: skip
def test_odd_forms_are_redacted_too(text: str) -> None:
    assert REDACTED in redact(text)
    assert not any(secret in redact(text) for secret in ("hunter2", "p@ss", "ss@host", "abc", "it's"))


@pytest.mark.parametrize(
    "text",
    [
        "3 orders at 60000.5 for BTC in market 0",
        "wss://api.hyperliquid.xyz/ws took 250 ms, code=5",
        "0x" + "aB3" * 13 + "4",  # an account's address
        "cloid 0x" + "00030050c6301a2b00000100000000d2",
        "commit " + "0a1b2c3d" * 5,
        "/var/lib/hlhft/catalog/kind=trades/coin=BTC/date=2025-09-04/part-000.parquet",
        "user:pass without an address",
        "50% of the budget",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text
    assert render(record("%s", text)) == text


def test_a_percent_sign_is_no_placeholder() -> None:
    assert render(record("100%% of password=%s, %d", "x", 5)) == f"100% of password={REDACTED}, 5"
    assert render(record("50% with password=hidden")) == f"50% with password={REDACTED}"


def test_a_long_text_costs_no_more_than_its_length() -> None:
    """A pattern that looked far for what is not there would take hours over these."""
    for piece in (
        "a",
        "key",
        "=",
        "\\",
        "'",
        "0x",
        "b'",
        "://:",
        "-----BEGIN ",
        "password",
        "Ab1+",
        "authorization",
        " ",
        "[(",
    ):
        redact(piece * (200_000 // len(piece)))
