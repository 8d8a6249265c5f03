"""An evaluation survives being written and read; what is none is refused."""

from __future__ import annotations

import msgspec
import pytest

from hlhft.alpha.evaluation.result import (
    Code,
    Comparison,
    Evaluation,
    Horizon,
    Measured,
    ModelFigures,
    Verdict,
    from_json,
    to_json,
)


def evaluation() -> Evaluation:
    verdict = Verdict(code=Code.CANNOT_TELL, sentence="Cannot tell.", remarks=("Too little.",))
    models = tuple(
        ModelFigures(name=name, title=name, figures={"nll": Measured(value=1.0)}) for name in ("lit", "prior")
    )
    horizon = Horizon(
        label="500 ms",
        horizon_ms=500,
        rows=10,
        days=1,
        shares=(0.25, 0.5, 0.25),
        cost_bp=1.5,
        blocks=0,
        models=models,
        comparisons=(Comparison(rival="prior", gains={"nll": Measured(value=None, why="no rows")}),),
        verdict=verdict,
    )
    return Evaluation(
        subject="lit",
        title="LiT",
        data="a recording",
        in_sample=False,
        test_days=1,
        first_ns=1,
        last_ns=2,
        confidence=0.95,
        resamples=100,
        seed=1,
        horizons=(horizon,),
        trials=None,
        absent={"lightgbm": "too few rows"},
    )


def test_written_and_read_back_it_is_the_same() -> None:
    assert from_json(to_json(evaluation())) == evaluation()


def test_the_headline_is_the_first_horizon_s_verdict() -> None:
    found = evaluation()
    assert found.verdict is found.horizons[0].verdict
    assert found.verdict.text == "Cannot tell. Too little."


def test_models_and_rivals_are_found_by_name() -> None:
    horizon = evaluation().horizons[0]
    assert horizon.model("prior") is horizon.models[1] and horizon.model("nobody") is None
    assert horizon.comparison("prior") is horizon.comparisons[0] and horizon.comparison("nobody") is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"subject": 1}', b"[1", b'{"subject":"a","surplus":1}'])
def test_what_is_no_evaluation_is_refused(content: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        from_json(content)
