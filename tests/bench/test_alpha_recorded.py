"""What the section says of a horizon: the gate where it belongs, and every rival with its interval."""

from __future__ import annotations

import numpy as np

from hlhft.alpha.evaluation.judging import Judge, judge
from hlhft.alpha.evaluation.result import Horizon
from hlhft.alpha.evaluation.rows import Calls, calls_of, cut
from tests.alpha.evaluation.worlds import SECOND_NS, THIRDS, drawn
from tests.bench.alpha_recorded import SETS, config_of, figures


def horizon(skill: float) -> Horizon:
    n = 800
    truth, said = drawn(4, n, skill=skill)
    ts_ns = np.arange(n) * SECOND_NS
    cells = cut(ts_ns, SECOND_NS)
    by = Judge(
        label="1 s",
        horizon_ms=1_000,
        ts_ns=ts_ns,
        truth=truth._replace(cell=cells.cell, cells=cells.cells),
        cells=cells,
        resamples=100,
        seed=1,
    )
    prior: Calls = calls_of(np.tile(THIRDS, (n, 1)), np.zeros(n), THIRDS)
    models = {"lit": ("LiT", said), "lit-1": ("LiT", said), "majority": ("class shares", prior)}
    return judge(by, models)[0]


def test_only_the_shares_of_the_classes_are_a_gate() -> None:
    for skill, is_met in ((1.0, True), (0.0, False)):
        found = list(figures("made", horizon(skill), ["lit-1"]))
        gates = [one for one in found if one.promise]
        assert [one.name for one in gates] == ["made, 1 s: NLL of LiT below that of class shares"]
        assert gates[0].passes_gate is is_met and gates[0].is_met is is_met


def test_models_and_rivals_are_there_and_other_seeds_only_in_their_mean() -> None:
    found = list(figures("made", horizon(0.5), ["lit-1"]))
    names = [one.name for one in found]
    assert "made, 1 s: NLL of LiT, mean of 2 seeds" in names and "made, 1 s: class shares, NLL" in names
    assert len(names) == len(set(names))
    assert " to " in found[0].unit and found[0].unit.startswith("nats (")


def test_every_set_has_a_network_that_can_be_built() -> None:
    for one in SETS:
        assert config_of(one).length == one.length and one.cuts == tuple(sorted(one.cuts))
