"""Small worlds to judge in: rows with classes, probabilities and moves, hand-made or drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hlhft.alpha.evaluation.rows import Calls, Truth, calls_of

SECOND_NS = 1_000_000_000
THIRDS = np.full(3, 1.0 / 3.0)


def truth_of(
    classes: Sequence[int],
    *,
    move_bp: Sequence[float] | None = None,
    half_spread_bp: float = 0.5,
    cost_bp: float = 1.0,
    segment: Sequence[int] | None = None,
    cell: Sequence[int] | None = None,
    prior: np.ndarray = THIRDS,
) -> Truth:
    """Rows of those classes; without a word each is a cell of its own, all in one segment, moves of 2 bp."""
    labels = np.asarray(classes, dtype=np.int8)
    n = len(labels)
    cells = np.arange(n) if cell is None else np.asarray(cell, dtype=np.int64)
    return Truth(
        classes=labels,
        move_bp=2.0 * (labels.astype(np.float64) - 1.0) if move_bp is None else np.asarray(move_bp, dtype=np.float64),
        half_spread_bp=np.full(n, half_spread_bp),
        segment=np.zeros(n, dtype=np.int64) if segment is None else np.asarray(segment, dtype=np.int64),
        cell=cells,
        cells=int(cells.max()) + 1 if n else 0,
        prior=prior,
        cost_bp=cost_bp,
        markouts_bp={},
    )


def calls(p: object, mu_bp: Sequence[float] | None = None, prior: np.ndarray = THIRDS) -> Calls:
    """Calls of probabilities; without moves they are 2 bp times what speaks for up more than for down."""
    given = np.asarray(p, dtype=np.float64)
    moves = 2.0 * (given[:, 2] - given[:, 0]) if mu_bp is None else np.asarray(mu_bp, dtype=np.float64)
    return calls_of(given, moves, prior)


def drawn(seed: int, n: int, *, skill: float = 0.5) -> tuple[Truth, Calls]:
    """Drawn classes and probabilities that know them in part: skill 0 knows nothing."""
    generator = np.random.default_rng(seed)
    p = generator.dirichlet((1.0, 1.0, 1.0), n)
    own = np.array([generator.choice(3, p=row) for row in p]) if n else np.zeros(0, dtype=int)
    chance = generator.integers(0, 3, n)
    classes = np.where(generator.random(n) < skill, own, chance)
    return truth_of(classes, move_bp=generator.normal(classes - 1.0, 1.0)), calls(p)
