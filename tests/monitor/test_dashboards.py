"""The JSON is what Grafana's SDK states, the same every time, the one that is kept, and nothing covers anything."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.models import units

from hlhft.monitor import board, dashboards
from hlhft.monitor.board import BOARDS, HLHFT
from hlhft.monitor.panels import COLUMNS, View
from tests.monitor.grafana import dashboard_faults, plain

KEPT = Path(__file__).resolve().parents[2] / "nixos" / "files" / "grafana"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def text() -> str:
    return dashboards.as_json(HLHFT)


@pytest.fixture
def content(text: str) -> Json:
    read: Json = json.loads(text)
    return read


def all_panels(content: Json) -> list[Json]:
    """Rows and panels, those of closed rows too, in their order."""
    return [each for panel in content["panels"] for each in (panel, *panel.get("panels", []))]


def by_title(content: Json, title: str) -> Json:
    return next(panel for panel in all_panels(content) if panel["title"] == title)


def test_what_is_kept_is_current() -> None:
    kept = {path.name: path.read_text() for path in KEPT.iterdir()}
    made = {f"{each.uid}.json": dashboards.as_json(each) for each in BOARDS}
    assert kept == made, "nixos/files/grafana is old: run `make docs`"


def test_another_process_writes_the_same(text: str) -> None:
    script = "from hlhft.monitor import board, dashboards; print(dashboards.as_json(board.HLHFT), end='')"
    seeded = {**os.environ, "PYTHONHASHSEED": "7"}
    again = subprocess.run([sys.executable, "-c", script], env=seeded, capture_output=True, text=True, check=True)
    assert again.stdout == text


def test_it_keeps_grafana_s_schema(content: Json) -> None:
    assert dashboard_faults(content) == []


def test_the_sdk_reads_it_back_to_the_same(content: Json) -> None:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    assert plain(Dashboard.from_json(content)) == content


def rename(panel: Json) -> None:
    panel["descriptions"] = panel.pop("description")


WRONG: dict[str, Callable[[Json], object]] = {
    "an unknown field of the dashboard": lambda content: content.update(refreshh="5s"),
    "a field of another type": lambda content: content.update(title=7),
    "an unknown value": lambda content: content.update(graphTooltip=9),
    "an unknown field of a panel": lambda content: rename(by_title(content, "Equity")),
    "a text for a number": lambda content: by_title(content, "Equity")["gridPos"].update(w="3"),
    "a truth value for a number": lambda content: by_title(content, "Equity")["gridPos"].update(w=True),
    "an option that its kind of panel lacks": lambda content: by_title(content, "Stage")["options"].update(fill=1),
    "a wrong value of an option": lambda content: by_title(content, "Stage")["options"].update(textMode="loud"),
    "an unknown field of a query": lambda content: by_title(content, "Stage")["targets"][0].update(exp="up"),
    "a query without an expression": lambda content: by_title(content, "Stage")["targets"][0].pop("expr"),
    "an unknown format": lambda content: by_title(content, "Stage")["targets"][0].update(format="csv"),
    "a wrong threshold": lambda content: by_title(content, "Equity")["fieldConfig"]["defaults"]["thresholds"]["steps"][
        0
    ].update(value="low"),
    "an unknown field of a graph's style": lambda content: by_title(content, "Tick to trade")["fieldConfig"][
        "defaults"
    ]["custom"].update(lineWith=2),
    "a wrong style": lambda content: by_title(content, "Tick to trade")["fieldConfig"]["defaults"]["custom"].update(
        lineWidth="thin"
    ),
    "a mapping of no kind": lambda content: by_title(content, "Connections")["fieldConfig"]["defaults"]["mappings"][
        0
    ].update(type="some"),
    "an unknown field of a closed row's panel": lambda content: rename(by_title(content, "Hit rate")),
    "a variable of no kind": lambda content: content["templating"]["list"][1].update(type="guess"),
    "an unknown field of an annotation": lambda content: content["annotations"]["list"][0].update(colour="red"),
    "a link of no kind": lambda content: content["links"][0].update(type="rope"),
    "panels that are no list": lambda content: content.update(panels={}),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_what_breaks_the_schema_is_noticed(content: Json, change: Callable[[Json], object]) -> None:
    broken = copy.deepcopy(content)
    change(broken)
    assert broken != content
    assert len(dashboard_faults(broken)) == 1


def test_nothing_covers_anything_and_rows_follow_each_other(content: Json) -> None:
    bottom = 0
    seen: set[tuple[int, int]] = set()
    for panel in content["panels"]:
        place = panel["gridPos"]
        if panel["type"] == "row":
            assert place == {"x": 0, "y": bottom, "w": COLUMNS, "h": 1}, panel["title"]
            inner_cells: set[tuple[int, int]] = set()
            for inner in panel["panels"]:
                cells = cells_of(inner["gridPos"])
                assert min(y for _, y in cells) > bottom
                assert not cells & inner_cells, inner["title"]
                inner_cells |= cells
        cells = cells_of(place)
        assert not cells & seen, panel["title"]
        seen |= cells
        bottom = max(y for _, y in seen) + 1
    assert all(0 <= x < COLUMNS for x, _ in seen)


def cells_of(place: dict[str, int]) -> set[tuple[int, int]]:
    return {
        (x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])
    }


def test_rows_are_those_of_the_board_and_a_closed_one_holds_its_panels(content: Json) -> None:
    rows = [panel for panel in content["panels"] if panel["type"] == "row"]
    assert [row["title"] for row in rows] == [row.title for row in HLHFT.rows]
    for row, made in zip(HLHFT.rows, rows, strict=True):
        assert made["collapsed"] == (not row.is_open)
        assert len(made["panels"]) == (0 if row.is_open else len(row.panels))
        assert made.get("repeat", "") == row.repeat
    titles = [panel["title"] for panel in all_panels(content) if panel["type"] != "row"]
    assert titles == [panel.title for panel in board.panels(HLHFT)]


def test_numbers_of_panels_are_there_once(content: Json) -> None:
    numbers = [panel["id"] for panel in all_panels(content)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_panel_asks_the_chosen_prometheus_and_names_what_it_asks(content: Json) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for made, panel in zip(
        (each for each in all_panels(content) if each["type"] != "row"), board.panels(HLHFT), strict=True
    ):
        assert made["type"] == panel.view.value
        assert made["description"] == panel.description
        assert made["datasource"] == chosen
        targets = made["targets"]
        assert [target["expr"] for target in targets] == [query.expression for query in panel.queries]
        assert [target["legendFormat"] for target in targets] == [query.legend for query in panel.queries]
        assert [target["refId"] for target in targets] == list("ABCDEFGH"[: len(targets)])
        for target in targets:
            assert target["datasource"] == chosen
            assert target["instant"] == panel.is_instant
            assert target["range"] == (not panel.is_instant)


def test_units_are_grafana_s(content: Json) -> None:
    known = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
    for made, panel in zip(
        (each for each in all_panels(content) if each["type"] != "row"), board.panels(HLHFT), strict=True
    ):
        is_map = panel.view is View.HEATMAP
        unit = made["options"]["yAxis"]["unit"] if is_map else made["fieldConfig"]["defaults"]["unit"]
        assert unit == panel.unit.value
        assert unit in known or unit.startswith("suffix:"), panel.title


def test_colours_words_and_bounds_are_those_of_the_board(content: Json) -> None:
    stage = by_title(content, "Stage")["fieldConfig"]
    assert [each["matcher"]["options"] for each in stage["overrides"]] == ["quoting", "halted"]
    assert stage["overrides"][1]["properties"][0]["value"]["fixedColor"] == "red"
    assert stage["defaults"]["noValue"] == "no engine"
    gauge = by_title(content, "Inventory")["fieldConfig"]["defaults"]
    assert (gauge["min"], gauge["max"], gauge["decimals"]) == (-100, 100, 0)
    assert gauge["thresholds"]["steps"][1] == {"value": -80, "color": "orange"}
    words = by_title(content, "Connections")["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert {value: word["text"] for value, word in words.items()} == {"0": "no", "1": "yes"}
    assert (
        by_title(content, "Tick to trade")["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] == "dashed"
    )


def test_a_heat_map_shows_buckets_as_they_are(content: Json) -> None:
    made = by_title(content, "Step, distribution")
    assert made["options"]["calculate"] is False
    assert made["targets"][0]["format"] == "heatmap"
    assert made["targets"][0]["legendFormat"] == "{{le}}"


def test_a_table_is_turned_or_rid_of_what_is_no_fact(content: Json) -> None:
    (turned,) = by_title(content, "Parts of the profit by market")["transformations"]
    assert (turned["id"], turned["options"]["columnField"]) == ("groupingToMatrix", "part")
    (tidied,) = by_title(content, "Models that are served")["transformations"]
    assert tidied["id"] == "organize"
    assert tidied["options"]["excludeByName"]["Time"] is True


def test_one_chooses_prometheus_account_and_markets(content: Json) -> None:
    datasource, account, market = content["templating"]["list"]
    assert (datasource["type"], datasource["query"]) == ("datasource", "prometheus")
    assert account["query"] == "label_values(hlhft_halted, account)"
    assert not account["multi"]
    assert market["query"] == 'label_values(hlhft_quoting{account="$account"}, market)'
    assert (market["multi"], market["includeAll"], market["allValue"]) == (True, True, ".*")


def test_halts_deploys_and_gaps_are_drawn_over_the_graphs(content: Json) -> None:
    drawn = content["annotations"]["list"]
    assert [each["name"] for each in drawn] == ["Halted", "Deployed or restarted", "Gap in the recording"]
    assert [each["expr"] for each in drawn] == [each.expression for each in HLHFT.annotations]
    assert all(each["enable"] for each in drawn)


def test_it_links_to_alerts_and_other_dashboards_and_to_pages_that_are_there(content: Json) -> None:
    assert [link["title"] for link in content["links"]] == ["Dashboards", "Alerts"]
    assert content["links"][0]["tags"] == content["tags"] == ["hlhft"]
    linked = json.loads(dashboards.as_json(HLHFT, "https://docs.example/hlhft"))["links"]
    assert [link["url"] for link in linked[2:]] == [
        f"https://docs.example/hlhft/{page}" for page in ("runbook.md", "metrics.md", "monitoring.md")
    ]
