"""What a PromQL expression asks for: which metrics, with which labels, and by which labels it groups.

A tokenizer of the language as Prometheus 2.42 reads it, and one walk over its tokens. It does not judge an expression,
which is what `promtool` is for: of one that Prometheus accepts, it finds every selector, and what cannot be read at all
is an error. Beyond the language, a range may be a variable of Grafana's, as in `[$__rate_interval]`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from hlhft.monitor.metrics import BY_NAME, PROCESS_LABELS, Kind, Metric

EXPRESSION_LETTERS_MAX = 10_000

# Prometheus writes these itself, of each scrape and of each alert.
OF_PROMETHEUS: dict[str, tuple[str, ...]] = {
    "up": (),
    "scrape_duration_seconds": (),
    "scrape_samples_scraped": (),
    "scrape_samples_post_metric_relabeling": (),
    "scrape_series_added": (),
    "ALERTS": ("alertname", "alertstate", "severity"),
    "ALERTS_FOR_STATE": ("alertname", "severity"),
}
# Prometheus adds these to whatever it scrapes.
TARGET_LABELS = ("job", "instance")
# What a histogram is made of, as series.
_SUFFIXES = ("_bucket", "_sum", "_count")

_OPERATORS = frozenset({"and", "or", "unless", "atan2", "bool", "offset"})
_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_NUMBERS = frozenset({"inf", "nan"})


class ExpressionError(ValueError):
    """An expression that is none: what is wrong, and where in it."""


class TokenKind(StrEnum):
    """What a token is."""

    NAME = "name"  # of a metric, a function, a label, or a word of the language
    STRING = "string"
    NUMBER = "number"
    DURATION = "duration"
    SIGN = "sign"


class Token(NamedTuple):
    """One token; `start` and `end` are where it stands in the expression."""

    kind: TokenKind
    text: str
    start: int
    end: int


class Matcher(NamedTuple):
    """One condition on a label: `operator` is =, !=, =~ or !~; `value` is unquoted."""

    label: str
    operator: str
    value: str


class Selector(NamedTuple):
    """Series that an expression selects. `name` is as it is written, "" where the braces do not name one; `text` is the
    selector by itself, without a range, and can be asked alone."""

    name: str
    matchers: tuple[Matcher, ...]
    text: str


class Asked(NamedTuple):
    """All that an expression asks for, in its order. `labels`: those by which it groups, joins, or which it ignores."""

    selectors: tuple[Selector, ...]
    labels: tuple[str, ...]


_SPACE = re.compile(r"(?:[ \t\n\r]+|#[^\n]*)+")
_TOKENS = tuple(
    (kind, re.compile(pattern, re.DOTALL))
    for kind, pattern in (
        (TokenKind.STRING, r"""`[^`]*`|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""),
        (TokenKind.DURATION, r"(?:[0-9]+(?:ms|[smhdwy]))+(?![0-9A-Za-z_.])"),
        (
            TokenKind.NUMBER,
            r"(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![0-9A-Za-z_.])",
        ),
        (TokenKind.NAME, r"[A-Za-z_:][A-Za-z0-9_:]*"),
        (TokenKind.SIGN, r"=~|!~|==|!=|>=|<=|[-+*/%^<>=@,(){}\[\]]"),
    )
)
_VARIABLE = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'"}


def tokens(expression: str) -> tuple[Token, ...]:
    """The tokens of an expression without spaces and comments. Raises ExpressionError, also for more than
    EXPRESSION_LETTERS_MAX letters."""
    if len(expression) > EXPRESSION_LETTERS_MAX:
        raise ExpressionError(f"{len(expression)} letters are too many, at most {EXPRESSION_LETTERS_MAX} are read")
    found: list[Token] = []
    at, in_range = 0, False
    while at < len(expression):
        space = _SPACE.match(expression, at)
        if space is not None:
            at = space.end()
            continue
        token = _in_range(expression, at) if in_range else None
        token = token or _token(expression, at)
        if token.text in ("[", "]") and token.kind is TokenKind.SIGN:
            in_range = token.text == "["
        found.append(token)
        at = token.end
    return tuple(found)


def _token(expression: str, at: int) -> Token:
    for kind, pattern in _TOKENS:
        match = pattern.match(expression, at)
        if match is not None:
            return Token(kind, match[0], at, match.end())
    raise ExpressionError(f"{_place(expression, at)} begins nothing that PromQL knows")


def _in_range(expression: str, at: int) -> Token | None:
    """What stands only between brackets: a variable, and the colon of a subquery, which elsewhere belongs to a name."""
    if expression[at] == ":":
        return Token(TokenKind.SIGN, ":", at, at + 1)
    variable = _VARIABLE.match(expression, at)
    return None if variable is None else Token(TokenKind.DURATION, variable[0], at, variable.end())


def selectors(expression: str) -> tuple[Selector, ...]:
    """The selectors of an expression in its order, each as often as it is written. Raises ExpressionError."""
    return asked(expression).selectors


def asked(expression: str) -> Asked:
    """All that an expression asks for. Raises ExpressionError."""
    found = tokens(expression)
    selected: list[Selector] = []
    labels: list[str] = []
    at = 0
    while at < len(found):
        token = found[at]
        after = found[at + 1].text if at + 1 < len(found) else ""
        if token.text == "{" and token.kind is TokenKind.SIGN:
            selector, at = _braces(expression, found, at, "", token.start)
            selected.append(selector)
        elif token.kind is not TokenKind.NAME:
            at += 1
        elif token.text.lower() in _LISTS:
            names, at = _list(expression, found, at + 1)
            labels += names
        elif token.text.lower() in _OPERATORS | _NUMBERS or after == "(" or _is_grouped(found, at):
            at += 1
        elif after == "{":
            selector, at = _braces(expression, found, at + 1, token.text, token.start)
            selected.append(selector)
        else:
            selected.append(Selector(token.text, (), token.text))
            at += 1
    return Asked(tuple(selected), tuple(dict.fromkeys(labels)))


def _is_grouped(found: tuple[Token, ...], at: int) -> bool:
    """An aggregation that says its labels before its operand: `sum by (…) (…)`."""
    return at + 2 < len(found) and found[at + 1].text.lower() in ("by", "without") and found[at + 2].text == "("


def _list(expression: str, found: tuple[Token, ...], at: int) -> tuple[list[str], int]:
    """The labels between parentheses, and where they end. `group_left` needs none."""
    if at >= len(found) or found[at].text != "(":
        return [], at
    names: list[str] = []
    for index in range(at + 1, len(found)):
        token = found[index]
        if token.text == ")":
            return names, index + 1
        if token.kind is TokenKind.NAME:
            names.append(token.text)
        elif token.text != ",":
            raise ExpressionError(f"{_place(expression, token.start)} is no label")
    raise ExpressionError(f"{_place(expression, found[at].start)} is never closed")


def _braces(expression: str, found: tuple[Token, ...], at: int, name: str, start: int) -> tuple[Selector, int]:
    """The selector whose braces open at token `at`, and the token after it."""
    opened, at = at, at + 1
    matchers: list[Matcher] = []
    while at < len(found) and found[at].text != "}":
        part = found[at : at + 3]
        kinds = tuple(token.kind for token in part)
        if kinds != (TokenKind.NAME, TokenKind.SIGN, TokenKind.STRING) or part[1].text not in ("=", "!=", "=~", "!~"):
            raise ExpressionError(f"{_place(expression, found[at].start)} is no condition on a label")
        matchers.append(Matcher(part[0].text, part[1].text, unquoted(part[2].text)))
        at += 3
        if at < len(found) and found[at].text == ",":
            at += 1
        elif at < len(found) and found[at].text != "}":
            raise ExpressionError(f"{_place(expression, found[at].start)} follows a condition without a comma")
    if at >= len(found):
        raise ExpressionError(f"{_place(expression, found[opened].start)} is never closed")
    names = [matcher.value for matcher in matchers if matcher[:2] == ("__name__", "=")]
    text = expression[start : found[at].end]
    return Selector(name or (names[0] if names else ""), tuple(matchers), text), at + 1


def unquoted(text: str) -> str:
    """What a string of PromQL says, with its escapes as Go reads them. Raises ExpressionError for another escape."""
    if text[0] == "`":
        return text[1:-1]
    return _ESCAPE.sub(_escaped, text[1:-1])


def _escaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "xuU" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code.isdigit() and len(code) == 3:
        return chr(int(code, 8))
    if code not in _ESCAPED:
        raise ExpressionError(f"\\{code} is no escape that PromQL knows")
    return _ESCAPED[code]


def _place(expression: str, at: int) -> str:
    return f"{expression[at : at + 20]!r} at letter {at + 1} of {expression!r}"


def metric_of(name: str) -> Metric | None:
    """The metric of the list that a series of this name belongs to: a histogram's are those with `_bucket`, `_sum` and
    `_count`, and it has none of its bare name. None for a name that no metric has."""
    metric = BY_NAME.get(name)
    if metric is not None:
        return None if metric.kind is Kind.HISTOGRAM else metric
    for suffix in _SUFFIXES:
        metric = BY_NAME.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if metric is not None and metric.kind is Kind.HISTOGRAM:
            return metric
    return None


def labels_of(name: str) -> frozenset[str] | None:
    """Every label that series of this name have, as Prometheus stores them; None for a name that nobody writes."""
    if name in OF_PROMETHEUS:
        return frozenset((*OF_PROMETHEUS[name], *TARGET_LABELS))
    metric = metric_of(name)
    if metric is None:
        return None
    bucket = ("le",) if name.endswith("_bucket") and metric.kind is Kind.HISTOGRAM else ()
    return frozenset((*metric.labels, *PROCESS_LABELS[metric.source], *bucket, *TARGET_LABELS))


def faults_of(expression: str) -> tuple[str, ...]:
    """What is wrong with an expression by the list of metrics: a name that nobody writes, a label that its series lack,
    a label to group by that none of its series has. A sentence each; () when it is in order.

    Raises ExpressionError.
    """
    question = asked(expression)
    faults = []
    known: set[str] = set()
    for selector in question.selectors:
        labels = labels_of(selector.name)
        if labels is None:
            faults.append(f"{selector.text} selects no metric of the list")
            continue
        known |= labels
        faults += [
            f"{selector.text} asks for the label {matcher.label}, which {selector.name} does not have"
            for matcher in selector.matchers
            if matcher.label not in labels | {"__name__"}
        ]
    faults += [f"{label} groups nothing: no series of it has that label" for label in question.labels
               if label not in known]  # fmt: skip
    return tuple(faults)
