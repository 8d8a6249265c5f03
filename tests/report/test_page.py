"""The page: whole in one file, verdict first, the same bytes each time, and nothing in it is taken for markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from hlhft.report import markup, page
from hlhft.report.grid import Grid
from hlhft.report.numbers import MINUS
from tests.report import sample_run
from tests.report.histories import FINE, PERPETUAL, SECOND, History, results, scenario, traded

VOID = {"meta", "link", "br"}


class Outline(HTMLParser):
    """Texts by element, attributes that load something, and whether tags pair."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "action", "srcset"):
                self.loads.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def of(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


@pytest.fixture(scope="module")
def text() -> str:
    return page.render(sample_run.results())


@pytest.fixture(scope="module")
def outline(text: str) -> Outline:
    return Outline(text)


def without_script(text: str) -> str:
    return text.replace(markup.inline_script(), "")


def test_the_page_is_whole_in_itself(text: str, outline: Outline) -> None:
    assert outline.loads == ["data:,"]
    own = without_script(text)
    assert len(text) - len(own) > 1_000_000
    assert not re.search(r"https?://|@import|url\(", own)
    assert len(text.encode()) < 8_000_000


def test_the_verdict_stands_first(outline: Outline) -> None:
    headings = [(tag, data) for tag, data in outline.texts if tag in ("h1", "h2")]
    assert headings[0][0] == "h1"
    assert headings[0][1].startswith("It would")
    assert [data for _, data in headings[1:]] == [
        "Fee scenarios side by side",
        "How it went",
        "More figures",
        "In detail",
        "What the models assume",
        "Fills",
        "What was run",
    ]


def test_charts_have_their_places_and_figures(text: str, outline: Outline) -> None:
    embedded = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.DOTALL)
    assert embedded is not None
    drawn = json.loads(embedded[1])
    assert [one["name"] for one in drawn] == [one.name for one in sample_run.results().scenarios]
    places = re.findall(r'<div class="plot" id="(.*?)">', text)
    assert len(set(places)) == len(places)
    assert {"equity", "inventory", "drawdown", "distance", "queue"} <= set(places)
    assert {name for name in places if name != "price"} == {
        name for one in drawn for name, figure in one.items() if isinstance(figure, dict)
    }


def test_every_scenario_is_there(outline: Outline) -> None:
    buttons = outline.of("button")
    assert buttons == ["new account, maker +1.5 bp", "tier 4, maker 0 bp", f"top rebate, maker {MINUS}0.3 bp"]


def test_the_same_results_are_the_same_bytes(text: str) -> None:
    assert page.render(sample_run.results()) == text


def test_names_are_text_and_never_markup() -> None:
    evil = "<script>alert(1)</script>&\"'"
    found = results(scenario(traded(6), evil), title=evil, identity={"version": evil, "settings": {"strategy": evil}})
    own = without_script(page.render(found))
    assert "<script>alert" not in own
    assert "&lt;script&gt;alert(1)" in own
    Outline(own)


def test_fills_are_listed_up_to_a_bound() -> None:
    made = History([PERPETUAL])
    made.fill(1, 618_079, 2, fee=18_542, mid=1_236_161, reason=2, front_at_entry=89.0, front=-3.0)
    for _ in range(page.FILLS_SHOWN):
        made.wait(SECOND)
        made.fill(-1, 618_079, 2, maker=0, reason=4)
    made.record()
    outline = Outline(without_script(page.render(results(scenario(made)))))
    cells = outline.of("td")
    start = cells.index("2023-11-14 22:13:20.000")
    row = ["2023-11-14 22:13:20.000", "BTC", "buy", "61807.9", "0.00002", "traded through", "0.00089", "0", "0.0185"]
    assert cells[start : start + 9] == row
    assert any(f"The first {page.FILLS_SHOWN} of 201 fills" in note for note in outline.of("p"))
    assert cells[start + 9 : start + 18][-3:] == ["\N{EN DASH}", "\N{EN DASH}", "0.0000"]


def test_several_markets_can_be_chosen() -> None:
    made = History([PERPETUAL, FINE])
    made.quote(1, 99, 101)
    made.record()
    outline = Outline(without_script(page.render(results(scenario(made)))))
    assert outline.of("button") == ["BTC", "FINE"]


def test_without_any_price_there_is_no_chart_of_it() -> None:
    made = History([PERPETUAL, FINE])
    made.record()
    outline = Outline(without_script(page.render(results(scenario(made)))))
    assert "price" not in outline.ids and outline.of("button") == []


class Beside:
    """A comparison as somebody hands it over."""

    sentence = "The simulation fills 20 % more than the market did."

    def plain(self) -> dict[str, Any]:
        return {"more": 0.2}

    def grids(self) -> tuple[Grid, ...]:
        return (Grid(title="Fills", note="By side.", heads=("side", "live"), rows=(("buys", "5"),)),)

    def figure(self) -> dict[str, Any]:
        return {"data": [{"type": "scatter", "name": "live", "x": [1], "y": [2]}], "layout": {"xaxis": {}}}


def test_what_a_past_rests_on_has_its_place() -> None:
    past = {"fills": 3, "gaps": ["one <b>", "two"], "moves": [{"coin": "BTC", "size": None}], "checks": []}
    outline = Outline(without_script(page.render(results(scenario(traded(6)), past=past))))
    assert "What it rests on" in outline.of("h2")
    told = outline.of("dd")
    start = told.index("3")
    assert told[start : start + 6] == ["3", "one <b>", "two", "coin: BTC", "size: \N{EN DASH}", "none"]
    assert "What it rests on" not in page.render(results(scenario(traded(6))))


def test_a_past_is_told_to_people() -> None:
    past = {"is_checked": True, "checked": [{"ts_ns": 1_790_000_000_000_000_000, "residual": "0"}]}
    shown = page.render(results(scenario(traded(6)), past=past, is_live=True))
    told = Outline(without_script(shown)).of("dd")
    assert "yes" in told and "at: 2026-09-21 14:13:20 UTC" in told
    assert "2 fills." in shown and "fills under" not in shown
    assert "2 fills under " in page.render(results(scenario(traded(6))))


def test_a_comparison_has_its_place() -> None:
    found = results(scenario(traded(6)), comparison=Beside())
    text = without_script(page.render(found))
    outline = Outline(text)
    assert "Beside a simulation of the same time" in outline.of("h2")
    assert Beside.sentence in outline.of("p") and "comparison" in outline.ids
    assert found.plain()["comparison"] == {"more": 0.2}
    assert "Beside a simulation" not in page.render(results(scenario(traded(6))))


def test_a_real_venue_does_not_say_where_an_order_stood() -> None:
    made = History([PERPETUAL])
    made.fill(1, 618_079, 2, mid=1_236_161, reason=0)
    made.record()
    cells = Outline(without_script(page.render(results(scenario(made), is_live=True)))).of("td")
    start = cells.index("rested")
    assert cells[start + 1 : start + 3] == ["\N{EN DASH}", "\N{EN DASH}"]


def test_nothing_is_a_page_too() -> None:
    outline = Outline(without_script(page.render(results(scenario(History([PERPETUAL]))))))
    assert outline.of("h1") == ["It did not trade at all, so it neither made nor lost anything."]


def test_identity_is_flat_and_complete(outline: Outline) -> None:
    terms = outline.of("dt")
    assert outline.of("summary") == ["All settings", "All libraries"]
    parameter = next(iter(sample_run.backtest().settings.strategy.parameters)).replace("_", " ")
    for name in ("code key", "seed", "data: fingerprint", "latency", "params: " + parameter, "numba"):
        assert name in terms


def test_the_page_follows_light_and_dark_and_narrow_screens() -> None:
    style = markup.asset("page.css")
    assert "prefers-color-scheme: dark" in style and "max-width: 560px" in style
    assert 'name="viewport"' in page.render(results(scenario(History([PERPETUAL]))))
