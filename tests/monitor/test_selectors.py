"""What an expression selects is what is found in it, and what Prometheus accepts can be read."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlhft.monitor.metrics import METRICS, Kind
from hlhft.monitor.selectors import (
    EXPRESSION_LETTERS_MAX,
    ExpressionError,
    Matcher,
    Selector,
    TokenKind,
    asked,
    faults_of,
    labels_of,
    metric_of,
    selectors,
    tokens,
    unquoted,
)
from tests.monitor.programs import run


@pytest.mark.parametrize(
    ("expression", "names", "labels"),
    [
        ("up", ["up"], []),
        ("up == 0", ["up"], []),
        ("vector(1)", [], []),
        ("1 + 0x1F * .5e-3 / Inf - NaN", [], []),
        ("sum by (account) (rate(a_total[5m]))", ["a_total"], ["account"]),
        ("sum(rate(a_total[5m])) by (account, le)", ["a_total"], ["account", "le"]),
        ("SUM WITHOUT (x) (a)", ["a"], ["x"]),
        ("topk(3, a) or bottomk(3, b)", ["a", "b"], []),
        ("a and on (x) b unless ignoring (y) c", ["a", "b", "c"], ["x", "y"]),
        ("a * on (x) group_left (y, z) b", ["a", "b"], ["x", "y", "z"]),
        ("a * on (x) group_left b", ["a", "b"], ["x"]),
        ("a > bool b", ["a", "b"], []),
        ("a offset 5m - a offset -1h30m", ["a", "a"], []),
        ("a @ start() + b @ 1609746000.5", ["a", "b"], []),
        ("max_over_time(rate(a[5m])[1h:1m])", ["a"], []),
        ("max_over_time(a[1h:])", ["a"], []),
        ("rate(a[$__rate_interval]) + rate(b[${window}])", ["a", "b"], []),
        ("a:b:rate5m", ["a:b:rate5m"], []),
        ("a # b\n + c", ["a", "c"], []),
        ("sum by (by, on) (a)", ["a"], ["by", "on"]),
        ("histogram_quantile(0.99, sum by (le) (a_bucket))", ["a_bucket"], ["le"]),
        ("label_replace(a, 'x', '$1', 'y', '(.*)')", ["a"], []),
        ("-a ^ 2", ["a"], []),
    ],
)
def test_names_and_labels_of_an_expression(expression: str, names: list[str], labels: list[str]) -> None:
    question = asked(expression)
    assert ([selector.name for selector in question.selectors], list(question.labels)) == (names, labels)


def test_matchers_are_found_with_what_their_strings_say() -> None:
    (selector,) = selectors("""sum(a{x="1",y!~'b|"c"' , z=~`\\d{2}`, w!="\\"}\\n",}[5m])""")
    assert selector.matchers == (
        Matcher("x", "=", "1"), Matcher("y", "!~", 'b|"c"'), Matcher("z", "=~", "\\d{2}"), Matcher("w", "!=", '"}\n'),
    )  # fmt: skip
    assert selectors(selector.text) == (selector,), "a selector's text is an expression by itself"


def test_braces_may_name_the_metric() -> None:
    assert selectors('{__name__="a", x="1"}')[0].name == "a"
    assert selectors('{__name__=~"a.*"}')[0].name == ""


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("a{x}", "'x}' at letter 3 of 'a{x}' is no condition on a label"),
        ('a{x="1" y="2"}', "follows a condition without a comma"),
        ('a{x="1"', "is never closed"),
        ("sum by (x", "is never closed"),
        ("sum by (1) (a)", "is no label"),
        ('a{x="1}', "begins nothing that PromQL knows"),
        ("5mm", "begins nothing that PromQL knows"),
        ("a[5M]", "begins nothing that PromQL knows"),
        ("a ; b", "begins nothing that PromQL knows"),
        ('a{x="\\q"}', "is no escape that PromQL knows"),
        ("a" * (EXPRESSION_LETTERS_MAX + 1), "letters are too many"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_says_where(expression: str, sentence: str) -> None:
    with pytest.raises(ExpressionError) as error:
        asked(expression)
    assert sentence in str(error.value)


def test_escapes_are_read_as_go_reads_them() -> None:
    assert unquoted('"\\t\\x41\\u00e9\\U0001F600\\101\\\\"') == "\tA\u00e9\U0001f600A\\"
    assert unquoted("`\\t`") == "\\t"


def test_a_series_of_a_histogram_belongs_to_its_metric() -> None:
    histogram = next(metric for metric in METRICS if metric.kind is Kind.HISTOGRAM)
    gauge = next(metric for metric in METRICS if metric.kind is Kind.GAUGE)
    assert {metric_of(histogram.name + suffix) for suffix in ("_bucket", "_sum", "_count")} == {histogram}
    assert metric_of(histogram.name) is None, "no series has a histogram's bare name"
    assert metric_of(gauge.name) == gauge
    assert metric_of(gauge.name + "_bucket") is None
    assert "le" in (labels_of(histogram.name + "_bucket") or ())
    assert "le" not in (labels_of(histogram.name + "_count") or ())


@pytest.mark.parametrize(
    ("expression", "faults"),
    [
        ("hlhft_halted == 1", []),
        ('hlhft_halted{account="0x1", job="hlhft", instance=~".*"}', []),
        ('up{job="hlhft"} == 0', []),
        ('hlhft_feed_fresh{market="BTC"} and on (account) hlhft_halted', []),
        ("hlhft_halt", ["hlhft_halt selects no metric of the list"]),
        ("hlhft_tick_to_trade_seconds", ["hlhft_tick_to_trade_seconds selects no metric of the list"]),
        ('{x="1"}', ['{x="1"} selects no metric of the list']),
        (
            'hlhft_halted{market="BTC"}',
            ['hlhft_halted{market="BTC"} asks for the label market, which hlhft_halted does not have'],
        ),
        ("sum by (market) (hlhft_halted)", ["market groups nothing: no series of it has that label"]),
    ],
)
def test_an_expression_is_held_against_the_list(expression: str, faults: list[str]) -> None:
    assert list(faults_of(expression)) == faults


# ------------------------------------------------------------------ what Prometheus accepts


class Written(NamedTuple):
    """An expression, and what it was made of."""

    text: str
    selectors: tuple[Selector, ...]
    labels: tuple[str, ...]


WORDS = ("by", "on", "sum", "offset", "group_left", "bool")
NAMES = st.from_regex(r"[a-z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True).filter(
    lambda name: name.lower() not in {*WORDS, "and", "or", "unless", "without", "ignoring", "nan", "atan2", "start",
                                      "end", "min", "max", "avg", "count", "group", "stddev", "stdvar", "topk",
                                      "bottomk", "quantile", "count_values", "group_right"}
)  # fmt: skip
LABELS = st.one_of(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,6}", fullmatch=True), st.sampled_from(WORDS)).filter(
    # A name with a meaning of its own, and what Prometheus reads as numbers.
    lambda label: label.lower() not in ("__name__", "inf", "nan")
)
DURATIONS = st.sampled_from(["5s", "1m", "1h30m", "2d", "250ms", "1w", "1y"])
QUOTES = "\"'`"
GAPS = st.sampled_from(["", " ", "\n", "\t ", " # ]}) \"'`\n"])
VALUES = st.text(string.printable + "é€", max_size=8)


def quoted(value: str, quote: str) -> str:
    if quote == "`" and "`" not in value and "\r" not in value:
        return f"`{value}`"
    quote = '"' if quote == "`" else quote
    escaped = value.replace("\\", "\\\\").replace(quote, "\\" + quote)
    for letter in "\n\r\t\x0b\x0c":
        escaped = escaped.replace(letter, f"\\x{ord(letter):02x}")
    return quote + escaped + quote


@st.composite
def written_selectors(draw: st.DrawFn) -> Written:
    name = draw(NAMES)
    matchers = tuple(
        Matcher(label, draw(st.sampled_from(["=", "!="])), draw(VALUES)) for label in draw(st.lists(LABELS, max_size=3))
    )
    gap = draw(GAPS)
    text = name
    if matchers or draw(st.booleans()):
        inside = ",".join(
            f"{gap}{matcher.label}{gap}{matcher.operator}{gap}{quoted(matcher.value, draw(st.sampled_from(QUOTES)))}"
            for matcher in matchers
        )
        text = f"{name}{gap}{{{inside}{draw(st.sampled_from(['', ','])) if matchers else ''}{gap}}}"
    return Written(text, (Selector(name, matchers, text),), ())


def joined(parts: tuple[Written, ...], text: str, labels: tuple[str, ...] = ()) -> Written:
    found = tuple(selector for part in parts for selector in part.selectors)
    return Written(text, found, (*labels, *(label for part in parts for label in part.labels)))


@st.composite
def vectors(draw: st.DrawFn, depth: int = 3) -> Written:
    kind = draw(st.integers(0, 6 if depth else 0))
    if kind == 0:
        selected = draw(written_selectors())
        shift = draw(st.sampled_from(["", " offset 5m", " OFFSET -1h", " @ 12.5", " @ end()", " @ start() offset 1s"]))
        return joined((selected,), selected.text + shift)
    inner = draw(vectors(depth - 1))
    gap = draw(GAPS)
    if kind == 1:
        selected = draw(written_selectors())
        return joined((selected,), f"rate({gap}{selected.text}[{draw(DURATIONS)}]{gap})")
    if kind == 2:
        step = draw(st.sampled_from(["", "1m"]))
        return joined((inner,), f"max_over_time(({inner.text})[{draw(DURATIONS)}:{step}])")
    names = tuple(draw(st.lists(LABELS, max_size=2, unique=True)))
    if kind == 3:
        word = draw(st.sampled_from(["sum", "MAX", "count"]))
        how = draw(st.sampled_from(["by", "WITHOUT"]))
        return joined((inner,), f"{word} {how}{gap}({','.join(names)}) ({inner.text})", names)
    if kind == 4:
        part = joined((inner,), f"topk{gap}(2,{inner.text}) by ({gap}{', '.join(names)})")
        return Written(part.text, part.selectors, (*part.labels, *names))
    other = draw(vectors(depth - 1))
    if kind == 5:
        sign = draw(st.sampled_from(["+", "==bool", "> BOOL", "and", "OR", "unless", "^", "% "]))
        return joined((inner, other), f"({inner.text}) {sign} ({other.text})")
    part = Written(f"({inner.text}) * on({','.join(names)}) group_left{gap}() ({other.text})", (), ())
    return Written(part.text, inner.selectors + other.selectors, (*inner.labels, *names, *other.labels))


def accepted_by_prometheus(expressions: list[str], folder: Path) -> str:
    rules = [{"record": f"r:{index}", "expr": expression} for index, expression in enumerate(expressions)]
    path = folder / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "x", "rules": rules}]}))
    result = run("promtool", "check", "rules", path)
    return "" if result.returncode == 0 else result.stdout


def test_what_prometheus_accepts_is_read_as_it_was_written(tmp_path: Path) -> None:
    made: list[Written] = []

    @settings(max_examples=100, suppress_health_check=list(HealthCheck))
    @given(vectors())
    def check(written: Written) -> None:
        made.append(written)
        question = asked(written.text)
        assert question.selectors == written.selectors
        assert question.labels == tuple(dict.fromkeys(written.labels))

    check()
    assert accepted_by_prometheus([written.text for written in made], tmp_path) == ""
    assert max(len(written.selectors) for written in made) > 1


@settings(max_examples=100)
@given(st.text(string.printable, max_size=40))
def test_anything_is_read_or_refused(text: str) -> None:
    try:
        found = tokens(text)
        asked(text)
    except ExpressionError:
        return
    assert all(text[token.start : token.end] == token.text for token in found)
    assert [token.start for token in found] == sorted(token.start for token in found)
    assert all(token.kind in TokenKind for token in found)
