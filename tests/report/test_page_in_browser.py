"""The pages as a reader meets them: in headless Chromium, offline, wide and on a phone, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hlhft.core.state import Mode
from hlhft.live.session_report import session_results
from hlhft.report import page as pages
from hlhft.report import sweep_page
from hlhft.report.comparison import compare
from hlhft.report.markup import document
from hlhft.report.results import Results
from tests.live.test_session_report import session
from tests.report import sample_run
from tests.report.browser import NEEDS_BROWSER, PHONE, WIDE, Page, chromium
from tests.report.histories import FINE, PERPETUAL, SECOND, History, results, scenario, traded
from tests.report.test_comparison import live, simulated
from tests.report.test_page import Beside
from tests.report.test_sweep_page import grid
from tests.report.worlds import Hand

pytestmark = [pytest.mark.browser, NEEDS_BROWSER]

BOTH = ((WIDE, False), (PHONE, True))


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with chromium() as page:
        yield page


def written(folder: Path, found: Results) -> Path:
    path = folder / "report.html"
    path.write_text(pages.render(found), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def backtest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("backtest"), sample_run.results())


@pytest.mark.parametrize(("width", "dark"), [(WIDE, False), (WIDE, True), (PHONE, False), (PHONE, True)])
def test_a_backtest_is_whole(browser: Page, backtest: Path, width: int, dark: bool) -> None:
    browser.open(backtest, width=width, dark=dark)
    assert browser.faults() == []
    assert {"equity", "price", "markouts", "inventory", "drawdown", "distance", "queue"} <= set(browser.plots())
    assert browser.ask("return document.querySelector('h1').innerText").startswith("It would")


def test_each_fee_scenario_is_shown_when_its_button_is_pressed(browser: Page, backtest: Path) -> None:
    browser.open(backtest)
    parts = "[...document.querySelectorAll('[data-scenario]')].filter(one => one.offsetHeight)"
    shown = f"return {parts}.map(one => one.dataset.scenario)"
    charts = "return document.getElementById('equity').data.at(-1).y"
    seen = []
    for number, one in enumerate(sample_run.results().scenarios):
        browser.press("scenario", number)
        assert browser.pressed("scenario") == [number]
        assert set(browser.ask(shown)) == {str(number)}
        assert browser.faults() == []
        seen.append(browser.ask(charts)[-1])
        assert seen[-1] == pytest.approx(one.profit_usdc, abs=1e-4)
    assert len(set(seen)) == len(seen)


def test_colours_follow_the_reader_and_a_narrower_window_is_drawn_again(browser: Page, backtest: Path) -> None:
    browser.open(backtest)
    paper = "return getComputedStyle(document.body).backgroundColor"
    line = "return document.querySelector('#equity .scatterlayer .trace:last-child path.js-line').style.stroke"
    light = (browser.ask(paper), browser.ask(line))
    browser.dark(True)
    dark = (browser.ask(paper), browser.ask(line))
    assert light[0] != dark[0] and light[1] != dark[1]
    browser.resize(PHONE)
    assert browser.faults() == []
    browser.dark(False)
    assert (browser.ask(paper), browser.ask(line)) == light


@pytest.mark.parametrize(("width", "dark"), BOTH)
def test_a_session_is_whole(browser: Page, tmp_path: Path, width: int, dark: bool) -> None:
    session(tmp_path, opening=-300)
    browser.open(written(tmp_path, session_results(tmp_path / "journal")), width=width, dark=dark)
    assert browser.faults() == []
    assert {"equity", "price", "inventory", "drawdown", "distance"} <= set(browser.plots())
    assert "How long things took" in browser.ask("return document.body.innerText")


@pytest.mark.parametrize(("width", "dark"), BOTH)
@pytest.mark.parametrize("fills", [True, False])
def test_a_session_beside_simulations_is_whole(
    browser: Page, tmp_path: Path, fills: bool, width: int, dark: bool
) -> None:
    worlds = [live(), simulated(), simulated("power:2")] if fills else [Hand("live"), Hand("risk-averse")]
    first, *others = (one.world() for one in worlds)
    found = compare(first, others, remarks=["A remark."])
    browser.open(written(tmp_path, results(scenario(traded(6)), comparison=found)), width=width, dark=dark)
    assert browser.faults() == []
    assert ("comparison" in browser.plots()) == fills
    assert "Live and simulated by market and side" in browser.ask("return document.body.innerText")


def test_each_market_is_drawn_when_its_button_is_pressed(browser: Page, tmp_path: Path) -> None:
    made = History([PERPETUAL, FINE])
    for index in range(2):
        made.quote(index, 99_999, 100_001)
    made.record()
    for side in (1, -1):
        made.wait(20 * SECOND)
        for index in range(2):
            made.fill(side, 100_000 - side, 100, market=index, mid=200_000)
        made.record()
    browser.open(written(tmp_path, results(scenario(made), comparison=Beside())))
    price = "return document.getElementById('price').data[1].y[0]"
    first = browser.ask(price)
    browser.press("market", 1)
    assert browser.pressed("market") == [1]
    assert browser.ask(price) != first
    assert browser.faults() == []
    assert browser.plots()["comparison"] > 0


@pytest.mark.parametrize(("width", "dark"), BOTH)
@pytest.mark.parametrize("kind", ["nothing", "no fills", "halted", "in-sample"])
def test_a_poor_run_is_a_whole_page_too(browser: Page, tmp_path: Path, kind: str, width: int, dark: bool) -> None:
    quiet = History([PERPETUAL])
    if kind != "nothing":
        quiet.quote(0, 99_999, 100_001, 100_000)
        quiet.record()
        quiet.wait(60 * SECOND)
        quiet.record()
    found = results(scenario(quiet), is_live=True)
    if kind == "halted":
        found = results(scenario(traded(-6), mode=int(Mode.HALTED), latches=1 << 2), interrupted=True)
    elif kind == "in-sample":
        found = replace(results(scenario(traded(6))), in_sample=("the model was fitted on BTC",))
    browser.open(written(tmp_path, found), width=width, dark=dark)
    assert browser.faults() == []
    assert ("equity" in browser.plots()) == (kind != "nothing")


@pytest.mark.parametrize(("width", "dark"), BOTH)
def test_the_page_of_a_sweep_is_whole(browser: Page, tmp_path: Path, width: int, dark: bool) -> None:
    path = tmp_path / "sweep.html"
    path.write_text(sweep_page.render(grid(4, 3)), encoding="utf-8")
    browser.open(path, width=width, dark=dark)
    assert browser.faults() == []
    assert len(browser.plots()) >= 2


# The checks themselves: what is wrong is found.


def broken(folder: Path, body: str, script: str = "") -> Path:
    text = document(title="a page", description="", body=body, drawn=[], styles=("page.css",), script="page.js")
    own = text.rindex("<script>")
    path = folder / "broken.html"
    path.write_text(f"{text[:own]}<script>{script}</script></body></html>", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("body", "script", "fault"),
    [
        ("<p>good</p>", "nobody.knows()", "SEVERE: "),
        ("<p>good</p>", "fetch('http://127.0.0.1:1/')", "SEVERE: "),
        ('<div class="plot" id="equity"></div>', "", "chart equity has 0 marks"),
        (
            '<div class="plot" id="equity"></div>',
            "Plotly.newPlot('equity', [{x: [], y: []}])",
            "chart equity has 0 marks",
        ),
        ("<table><tbody><tr><td>a</td><td></td></tr></tbody></table>", "", "empty cell in ['a', '']"),
        ("<table><thead><tr><th>a</th></tr></thead><tbody></tbody></table>", "", "table without rows"),
        ('<p id="said"></p>', "document.getElementById('said').innerText = {}.x", "the page says undefined"),
        ('<p id="said"></p>', "document.getElementById('said').innerText = 0 / 0", "the page says NaN"),
        ('<div style="width: 1300px">wide</div>', "", "sticks out: DIV."),
    ],
)
def test_what_is_wrong_with_a_page_is_found(browser: Page, tmp_path: Path, body: str, script: str, fault: str) -> None:
    browser.open(broken(tmp_path, body, script))
    found = browser.faults()
    assert len(found) >= 1 and any(one.startswith(fault) for one in found), found


def test_a_good_page_has_no_faults(browser: Page, tmp_path: Path) -> None:
    script = "Plotly.newPlot('equity', [{x: [1, 2], y: [3, 4]}])"
    body = '<div class="plot" id="equity"></div><table><tbody><tr><td>a</td></tr></tbody></table>'
    assert browser.open(broken(tmp_path, body, script)).faults() == []
