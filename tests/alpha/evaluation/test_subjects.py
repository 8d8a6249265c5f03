"""A model folder gives the same probabilities as its predictor, in batches of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hlhft.alpha.bundle import load_bundle, predictor
from hlhft.alpha.evaluation.subjects import BATCH, BundleSubject, WalkedSubject
from tests.alpha.evaluation.models import trained
from tests.alpha.evaluation.test_evaluating import SHORT, Oracle, planted

pytestmark = pytest.mark.alpha


def test_batches_change_nothing_and_progress_is_told(tmp_path: Path) -> None:
    dataset, split, folder = trained(tmp_path)
    bundle = load_bundle(folder)
    told: list[tuple[int, int]] = []
    subject = BundleSubject(bundle, predictor(bundle, folder), lambda done, whole: told.append((done, whole)))
    ends = split.train.rows[: BATCH + 7]
    p, mu_bp = subject.predict(dataset, ends)
    assert p.shape == (BATCH + 7, 1, 3) and mu_bp.shape == (BATCH + 7, 1)
    assert told == [(BATCH, BATCH + 7), (BATCH + 7, BATCH + 7)]
    alone = predictor(bundle, folder).predict(dataset.windows(ends[-3:], bundle.length))
    assert p[-3:] == pytest.approx(alone.p, abs=1e-6) and mu_bp[-3:] == pytest.approx(alone.mu_bp, abs=1e-5)
    assert subject.predict(dataset, np.zeros(0, dtype=np.int64))[0].shape == (0, 1, 3)


def test_it_says_what_it_is(tmp_path: Path) -> None:
    _, _, folder = trained(tmp_path)
    bundle = load_bundle(folder)
    subject = BundleSubject(bundle, predictor(bundle, folder))
    assert subject.title == "LiT" and subject.name == "model"
    assert [spec.name for spec in subject.labels] == ["next-0"]


def test_of_a_walk_each_row_is_the_newest_model_s_that_had_begun(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set", 60)
    first, second = Oracle(factor=1.0), Oracle(factor=-2.0)
    firsts_ns = int(dataset.ts_ns[10]), int(dataset.ts_ns[30])
    walked = WalkedSubject("model", "both", (SHORT,), tuple(zip(firsts_ns, (first, second), strict=True)))
    ends = np.array([5, 29, 30, 50])
    found = walked.predict(dataset, ends)
    for place, part in enumerate(found):
        assert np.array_equal(part[:2], first.predict(dataset, ends[:2])[place])
        assert np.array_equal(part[2:], second.predict(dataset, ends[2:])[place])
    assert walked.predict(dataset, ends[:0])[0].shape == (0, 1, 3)
