"""Every form of a parameter, every refusal in one sentence, and samples that a seed repeats."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.backtest.parameter_sets import SETS_MAX, Axis, ParameterSets, SweepError, choose_sets, parse_axis
from hlhft.strategies import StrategyError, load

GLFT = load("glft")


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("gamma=0.1", Axis(name="gamma", values=("0.1",))),
        (" gamma = 0.1 , 0.2 ", Axis(name="gamma", values=("0.1", "0.2"))),
        ("gamma=0.01:1", Axis(name="gamma", low="0.01", high="1")),
        ("gamma=1e-3:1:log", Axis(name="gamma", low="1e-3", high="1", is_logarithmic=True)),
    ],
)
def test_forms(text: str, axis: Axis) -> None:
    assert parse_axis(text) == axis
    assert axis.is_range == (":" in text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gamma", "'gamma' is none: say name=value"),
        ("=1", "'=1' is none"),
        ("gamma=", "a value is missing"),
        ("gamma=1,,2", "a value is missing"),
        ("gamma=1:", "a value is missing"),
        ("gamma=1:2:3", "a range is low:high or low:high:log"),
        ("gamma=1:2:log:4", "a range is low:high or low:high:log"),
        ("gamma=a:2", "'a' is not a number"),
        ("gamma=0:inf", "'inf' is not a finite number"),
        ("gamma=2:1", "must begin below its end"),
        ("gamma=1:1", "must begin below its end"),
        ("gamma=0:1:log", "begins above 0"),
    ],
)
def test_refused_forms(text: str, sentence: str) -> None:
    with pytest.raises(SweepError, match=sentence):
        parse_axis(text)


def test_a_grid_is_every_combination_in_order() -> None:
    chosen = choose_sets(GLFT, ["gamma=0.1,0.2", "levels=1,2,3", "xi_share=0.5"])
    assert chosen.method == "grid" and chosen.repeated == 0
    assert [(one["gamma"], one["levels"]) for one in chosen.sets] == [
        (0.1, 1), (0.1, 2), (0.1, 3), (0.2, 1), (0.2, 2), (0.2, 3),
    ]  # fmt: skip
    assert {one["xi_share"] for one in chosen.sets} == {0.5}
    assert chosen.varied == ("gamma", "levels")


def test_what_is_usual_stands_in_every_set_that_says_nothing_else() -> None:
    usual = {"levels": 2.0, "gamma": 0.7}
    chosen = choose_sets(GLFT, ["gamma=0.1,0.2"], usual=usual)
    assert chosen.sets == ({"levels": 2.0, "gamma": 0.1}, {"levels": 2.0, "gamma": 0.2})
    assert choose_sets(GLFT, [], usual=usual).sets == (usual,)
    with pytest.raises(StrategyError, match="'levls'"):
        choose_sets(GLFT, ["gamma=0.1,0.2"], usual={"levls": 2.0})


def test_repetitions_are_run_once_and_counted() -> None:
    chosen = choose_sets(GLFT, ["gamma=0.1,0.10,0.2,1e-1"])
    assert [one["gamma"] for one in chosen.sets] == [0.1, 0.2]
    assert chosen.repeated == 2


def test_without_parameters_the_defaults_are_the_one_set() -> None:
    assert choose_sets(GLFT, []) == ParameterSets(method="grid", sets=({},))


@pytest.mark.parametrize(
    ("texts", "error", "sentence"),
    [
        (["gama=0.1"], StrategyError, "did you mean 'gamma'"),
        (["gamma=0.1,99"], StrategyError, "gamma must lie in"),
        (["gamma=0.1,x"], StrategyError, "gamma must be a number, not 'x'"),
        (["levels=1.5"], StrategyError, "whole number"),
        (["gamma=0.1", "gamma=0.2"], SweepError, "said more than once: say --param gamma=first,second"),
        (["gamma=0.1:1"], SweepError, "gamma=0.1:1 is a range: say how many sets to draw with --random"),
        ([f"gamma={','.join(str(n / 1000) for n in range(1, 4098))}"], SweepError, "4097 sets, at most 4096"),
    ],
)
def test_refused_grids(texts: list[str], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        choose_sets(GLFT, texts)


def test_a_sample_is_repeated_by_its_seed_and_by_no_other() -> None:
    texts = ["gamma=0.01:1", "levels=1:5", "xi_share=0,1"]
    first = choose_sets(GLFT, texts, random=40, seed=7)
    assert first == choose_sets(GLFT, texts, random=40, seed=7)
    assert first.sets != choose_sets(GLFT, texts, random=40, seed=8).sets
    assert first.method == "random" and len(first.sets) == 40
    assert {one["levels"] for one in first.sets} == {1, 2, 3, 4, 5}
    assert {one["xi_share"] for one in first.sets} == {0, 1}


@settings(max_examples=40)
@given(
    low=st.floats(1e-6, 9.0),
    share=st.floats(0.001, 1.0),
    seed=st.integers(0, 2**32),
    logarithmic=st.booleans(),
)
def test_drawn_values_stay_in_their_range_and_are_run_as_printed(
    low: float, share: float, seed: int, logarithmic: bool
) -> None:
    high = low + (10.0 - low) * share
    text = f"gamma={low!r}:{high!r}" + (":log" if logarithmic else "")
    for one in choose_sets(GLFT, [text], random=20, seed=seed).sets:
        assert low <= one["gamma"] <= high
        assert one["gamma"] in (low, high, float(f"{one['gamma']:.6g}"))


def test_a_logarithmic_range_is_even_in_the_logarithm() -> None:
    drawn = [one["gamma"] for one in choose_sets(GLFT, ["gamma=0.0001:1:log"], random=1000, seed=3).sets]
    for decade in range(4):
        count = sum(10.0 ** (decade - 4) <= value < 10.0 ** (decade - 3) for value in drawn)
        assert 200 <= count <= 300
    even = [one["gamma"] for one in choose_sets(GLFT, ["gamma=0.0001:1"], random=1000, seed=3).sets]
    assert 450 <= sum(value < 0.5 for value in even) <= 550


def test_whole_numbers_are_drawn_whole_and_repetitions_left_out() -> None:
    chosen = choose_sets(GLFT, ["levels=1:3:log"], random=50, seed=1)
    assert sorted(one["levels"] for one in chosen.sets) == [1, 2, 3]
    assert chosen.repeated == 47


@pytest.mark.parametrize(
    ("texts", "count", "sentence"),
    [
        (["gamma=0.1:1"], 0, "0 random sets cannot be drawn"),
        (["gamma=0.1:1"], SETS_MAX + 1, "the sample has 4097 sets"),
        (["gamma=0.1"], 5, "nothing to draw from"),
    ],
)
def test_refused_samples(texts: list[str], count: int, sentence: str) -> None:
    with pytest.raises(SweepError, match=sentence):
        choose_sets(GLFT, texts, random=count)


@pytest.mark.parametrize("text", ["gamma=0.1:99", "gamma=0:1", "levels=1.5:3", "levels=1,1.5", "gama=0:1"])
def test_a_range_beyond_the_strategys_is_refused_before_a_draw_falls_there(text: str) -> None:
    with pytest.raises(StrategyError):
        choose_sets(GLFT, [text], random=1)


def sets_file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "sets.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_of_sets(tmp_path: Path) -> None:
    path = sets_file(tmp_path, "\ufeffgamma, levels\n0.1, 1\n\n0.2,2\n0.1,1\n")
    chosen = choose_sets(GLFT, ["xi_share=0.5"], listed=path)
    assert chosen.method == "list" and chosen.repeated == 1
    assert chosen.sets == (
        {"gamma": 0.1, "levels": 1.0, "xi_share": 0.5},
        {"gamma": 0.2, "levels": 2.0, "xi_share": 0.5},
    )


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("", SweepError, "the first line must name parameters"),
        (" ,\n1,2\n", SweepError, "the first line must name parameters"),
        ("gamma\n\n", SweepError, "no set below the heading"),
        ("gamma,gamma\n1,2\n", SweepError, "parameter gamma is given twice"),
        ("gamma,xi_share\n1,1\n", SweepError, "parameter xi_share is given twice"),
        ("gamma,levels\n0.1\n", SweepError, "sets.csv, line 2: 1 values under 2 names"),
        ("gamma\n0.1\n99\n", StrategyError, "sets.csv, line 3: strategy glft: parameter gamma must lie in"),
        (b"\xff\xfe\x00", SweepError, "this is no text"),
        ("gamma\n" + "0.1\n" * (SETS_MAX + 1), SweepError, "4097 sets"),
    ],
)
def test_refused_files(tmp_path: Path, text: str | bytes, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        choose_sets(GLFT, ["xi_share=0.5"], listed=sets_file(tmp_path, text))


def test_a_file_takes_no_lists_and_no_sample_beside_it(tmp_path: Path) -> None:
    path = sets_file(tmp_path, "gamma\n0.1\n")
    with pytest.raises(SweepError, match="levels: with a file of sets, give one value"):
        choose_sets(GLFT, ["levels=1,2"], listed=path)
    with pytest.raises(SweepError, match="not both"):
        choose_sets(GLFT, [], listed=path, random=3)
    with pytest.raises(FileNotFoundError):
        choose_sets(GLFT, [], listed=tmp_path / "none.csv")
