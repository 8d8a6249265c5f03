"""Names that say which form to write, and what is said of what was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.cli.data.writing import refuse_name, sentence, write, written
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.data.sources import open_source
from hlhft.data.tally import Tally
from tests.data.making import BTC, ETH, ListSource, rows_of, trade


@pytest.mark.parametrize(
    ("name", "problem"), [("a.csv", "the name must end in"), ("none/a.npz", "there is no such folder, make it first")]
)
def test_a_name_that_says_no_form_or_has_no_folder_is_wrong_use(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem) as caught:
        refuse_name(tmp_path / name)
    assert caught.value.exit_code == ExitCode.USAGE
    refuse_name(tmp_path / "a.npz")


def test_the_ending_says_the_form(tmp_path: Path) -> None:
    source, counts = ListSource([trade(1, 1, 100, 1)], snapshots_only=False), Tally()
    for name in ("BTC.events.npz", "BTC.npz"):
        assert write(source, None, tmp_path / name, counts, None) == 1
        assert rows_of(open_source(tmp_path / name))["price_ticks"].tolist() == [100]


def test_an_array_holds_one_market(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds one market, name one of BTC, ETH with --market"):
        write(ListSource([], [BTC, ETH]), None, tmp_path / "a.npz", Tally(), None)


def test_what_was_left_out_is_said() -> None:
    content = written(Path("a"), 7, {"asset_contexts_left_out": 2, "nothing": 0})
    assert content == {"path": "a", "rows": 7, "counts": {"asset_contexts_left_out": 2}}
    assert sentence(content) == "a: 7 rows written, asset contexts left out 2"
