"""The page of a sweep: rankings, maps of every form, bounded lines, and one self-contained document."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from hlhft.report import sweep_page
from hlhft.report.numbers import DASH, MINUS
from hlhft.report.sweep_page import Judgement, SweepView, lines, maps, ranking, render, set_words, value_text

FIGURES = np.dtype(
    [
        (name, np.int64)
        for name in (
            "profit_micro",
            "fee_micro",
            "drawdown_micro",
            "volume_micro",
            "maker_volume_micro",
            "fills",
            "quoted_ns",
        )
    ]
)
SECOND_NS = 1_000_000_000


def view(profits: list[float], values: list[list[float]], names: tuple[str, ...] = ("gamma", "levels")) -> SweepView:
    """A sweep of one market over ten seconds under two scenarios; the second makes one USDC more everywhere."""
    count = len(profits)
    figures = np.zeros((count, 2), FIGURES)
    for row, profit in enumerate(profits):
        figures[row] = (round(profit * 1e6), 1_500_000, 2_000_000, 1_000_000_000, 250_000_000, 1_234, 4 * SECOND_NS)
        figures[row, 1]["profit_micro"] += 1_000_000
    path = figures["profit_micro"][:, :, np.newaxis] * np.linspace(0.1, 1.0, 10)
    return SweepView(
        title="some <recording>",
        facts=("10 s", "strategy glft"),
        scenarios=("new account", "top & rebate"),
        parameters=names,
        numbers=np.arange(count) + 7,
        values=np.array(values, np.float64).reshape(count, len(names)),
        figures=figures,
        halted=((None, None),) * count,
        span_ns=10 * SECOND_NS,
        markets=1,
        times_ns=np.arange(1, 11) * SECOND_NS,
        profit_micro=path.astype(np.int64),
        judgements=(),
        note="Ranked only.",
        identity={"version": "0", "settings": {"seed": 1, "share": 0.5}, "varied": ["gamma"], "nothing": []},
    )


def grid(columns: int, rows: int) -> SweepView:
    values = [[0.1 * column, float(row)] for column in range(columns) for row in range(rows)]
    return view([float(index) - 3.0 for index in range(columns * rows)], values)


def test_a_ranking_by_hand() -> None:
    shown = ranking(view([-1.5, 2.25, 0.0], [[0.1, 1], [0.05, 2], [1e-6, 20]]), 0)
    assert shown.heading == (
        "set", "gamma", "levels", "profit", "fees", "drawdown", "fills", "volume", "as maker", "quoted",
    )  # fmt: skip
    assert shown.rows[0] == ("8", "0.05", "2", "+2.25", f"{MINUS}1.50", "2.00", "1,234", "1,000", "25 %", "40 %")
    assert [row[0] for row in shown.rows] == ["8", "9", "7"]
    assert shown.signs == (1, 0, -1) and shown.best == 3
    assert [row[shown.profit_column] for row in shown.rows] == ["+2.25", "0.00", f"{MINUS}1.50"]


def test_best_and_worst_are_apart_when_there_are_many() -> None:
    shown = ranking(grid(5, 5), 0, 3)
    assert [row[0] for row in shown.rows] == ["31", "30", "29", "9", "8", "7"]
    assert shown.best == 3
    seven = ranking(view([1.0] * 7, [[1, 1]] * 7), 0, 3)
    assert [row[0] for row in seven.rows] == ["7", "8", "9", "11", "12", "13"]  # equal ones by number
    assert len(ranking(view([1.0] * 6, [[1, 1]] * 6), 0, 3).rows) == 6


def test_the_short_form_leaves_out_and_a_halt_is_shown() -> None:
    plain = view([1.0, 2.0], [[1, 1], [2, 1]])
    assert ranking(plain, 0, is_short=True).heading == (
        "set", "gamma", "levels", "profit", "drawdown", "fills", "quoted",
    )  # fmt: skip
    halted = replace(plain, halted=(("stale_data", None), (None, None)))
    assert [row[-1] for row in ranking(halted, 0).rows] == ["active", "halted: stale data"]
    assert "ended" not in ranking(halted, 1).heading


def test_a_set_that_did_not_trade_has_no_maker_share() -> None:
    idle = view([0.0], [[1, 1]])
    idle.figures["volume_micro"] = 0
    assert ranking(idle, 0).rows[0][8] == DASH


def test_a_parameter_named_like_a_figure_stays_apart() -> None:
    odd = view([1.0], [[3.0, 4.0]], ("fills", "set"))
    shown = ranking(odd, 0)
    assert shown.heading[:4] == ("set", '"fills"', '"set"', "profit")
    assert shown.rows[0][:3] == ("7", "3", "4")


@pytest.mark.parametrize(("value", "text"), [(0.1, "0.1"), (3.0, "3"), (1e-6, "1e-06"), (123456.0, "123456")])
def test_values_are_said_as_short_as_possible(value: float, text: str) -> None:
    assert value_text(value) == text


def test_sets_in_words() -> None:
    assert set_words(view([1.0], [[0.1, 2]]), 0) == "set 7: gamma 0.1, levels 2"
    assert set_words(view([1.0], [], ()), 0) == "set 7"


def test_a_grid_is_a_map_of_medians() -> None:
    # Two values each of three parameters; the third is folded into the median.
    values = [[a, b, c] for a in (1, 2) for b in (5, 6) for c in (8, 9)]
    three = view([1, 3, 10, 20, -5, -7, 0, 0.5], values, ("a", "b", "c"))
    found = maps(three)
    assert [one["name"] for one in found] == ["a and b", "a and c", "b and c"]
    assert found[0]["kind"] == "map"
    assert (found[0]["x"], found[0]["y"]) == (["1", "2"], ["5", "6"])
    assert found[0]["profit"][0] == [[2.0, -6.0], [15.0, 0.25]]
    assert found[0]["profit"][1] == [[3.0, -5.0], [16.0, 1.25]]


def test_a_cell_without_a_set_is_empty() -> None:
    found = maps(view([1.0, 2.0, 3.0, 4.0], [[1, 1], [1, 2], [2, 1], [2, 1]]))[0]
    assert found["profit"][0] == [[1.0, 3.5], [2.0, None]]


@pytest.mark.parametrize("count", [50, 2])
def test_sets_that_are_no_grid_are_points(count: int) -> None:
    generator = np.random.default_rng(1)
    found = maps(view([1.0] * count, generator.random((count, 2)).tolist()))[0]
    assert found["kind"] == "points" and len(found["x"]) == len(found["profit"][1]) == count
    assert found["text"][0].startswith("set 7: gamma 0.51")


def test_values_over_two_decades_are_drawn_by_their_logarithm() -> None:
    (found,) = maps(view([1.0, 2.0, 3.0], [[0.01, 1], [1, 60], [0.2, 100]]))
    assert (found["kind"], found["x_type"], found["y_type"]) == ("points", "log", "linear")
    (line,) = maps(view([1.0, 2.0], [[0.0], [100.0]], ("gamma",)))
    assert line["x_type"] == "linear"


def test_one_parameter_is_a_line_in_its_order_and_none_is_nothing() -> None:
    (found,) = maps(view([1.0, 2.0, 3.0], [[3], [1], [2]], ("gamma",)))
    assert (found["kind"], found["name"], found["x"]) == ("line", "gamma", [1.0, 2.0, 3.0])
    assert found["profit"] == [[2.0, 3.0, 1.0], [3.0, 4.0, 2.0]]
    assert maps(view([1.0], [], ())) == []


def test_at_most_ten_maps_are_drawn() -> None:
    names = tuple("abcdefgh")
    assert len(maps(view([1.0, 2.0], [[1] * 8, [2] * 8], names))) == 10


def test_lines_are_the_best_sets_and_the_median() -> None:
    drawn = lines(grid(3, 3), 1)
    assert drawn["x"] == [1000 * (index + 1) for index in range(10)]
    assert [line["name"].split(":")[0] for line in drawn["lines"]] == [
        "set 15", "set 14", "set 13", "set 12", "set 11", "median of all sets",
    ]  # fmt: skip
    assert drawn["lines"][0]["y"][-1] == 6.0 and drawn["lines"][-1]["y"][-1] == 2.0
    assert len(lines(view([1.0, 2.0], [[1, 1], [2, 1]]), 0)["lines"]) == 2


def test_lines_have_a_bounded_number_of_points() -> None:
    long = replace(grid(2, 2), times_ns=np.arange(1, 5001) * SECOND_NS, profit_micro=np.ones((4, 2, 5000), np.int64))
    drawn = lines(long, 0)
    assert len(drawn["x"]) == len(drawn["lines"][0]["y"]) <= sweep_page.LINE_POINTS


class Tags(HTMLParser):
    """Counts open tags and checks that they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.text += data


def judged(view_: SweepView) -> SweepView:
    one = Judgement(
        sentence="Cannot tell: <far> too little.",
        remarks=("The best made & lost.",),
        facts=(("verdict", "cannot tell"),),
        fold_heading=("from", "chosen"),
        folds=(("now", "set 7"),),
    )
    return replace(view_, judgements=(one, Judgement(sentence="Second sentence.")))


def test_the_page_is_whole_and_says_what_it_must() -> None:
    page = render(judged(grid(4, 6)))
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    for wanted in (
        "some <recording>", "Cannot tell: <far> too little.", "The best made & lost.", "The best 10 sets",
        "21 of 24 sets made money", "Second sentence.", "verdict", "settings: share", "top & rebate", "set 7",
    ):  # fmt: skip
        assert wanted in tags.text, wanted
    assert "<far>" not in page and "some <recording>" not in page


def test_the_page_needs_nothing_from_outside_and_is_the_same_each_time() -> None:
    page = render(judged(grid(4, 6)))
    assert page == render(judged(grid(4, 6)))
    outside_scripts = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!data:)|url\(', outside_scripts)
    assert "<script src" not in page
    assert len(page) < 8_000_000
    drawn = json.loads(re.search(r'id="figures">(.*?)</script>', page).group(1))  # type: ignore[union-attr]
    assert [one["kind"] for one in drawn["maps"]] == ["map"] and len(drawn["lines"]) == 2


def test_without_a_selection_the_note_stands_for_it() -> None:
    page = render(view([1.0, -1.0, 2.0], [[1, 1], [1, 2], [2, 1]]))
    assert "<h1>Ranked only.</h1>" in page and "All sets" in page
    assert 'id="map"' in page and "<dt>nothing</dt><dd><code>none</code></dd>" in page
    assert "a cell is the median" not in page and "a cell is the median" in render(grid(3, 3))
    single = render(view([0.0], [], ()))
    assert 'id="map"' not in single and '<div class="figure ">0.00' in single
