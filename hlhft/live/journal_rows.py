"""The rows of model features that a live session had, from its journal, byte for byte.

The journal holds every frame that the engine stepped over. A replay steps over them again, so that books and our own
orders stand as they did, and the features are computed by the engine's own code. What a frame led to at once (an action
that was sent or refused) may have been stepped over before the live row was made, and is not yet here; nothing of that
is an order that rests, so no row depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hlhft.alpha.features import Features
from hlhft.alpha.schema import FeatureSchema
from hlhft.core.brain import Brain
from hlhft.live.replay import Replayed, replay

Take = Callable[[np.ndarray, np.ndarray], None]


class _Rows:
    """Computes rows beside a replay and hands each frame's on, as copies."""

    def __init__(self, schema: FeatureSchema, take: Take) -> None:
        self._schema = schema
        self._take = take
        self._features: Features | None = None
        self._brain: Brain | None = None

    def stepped(self, brain: Brain, events: np.ndarray, count: int) -> None:
        """One frame."""
        if self._features is None:
            self._features = Features(self._schema, brain)
        elif brain is not self._brain:
            self._features.follow(brain)
        self._brain = brain
        made = self._features.update(events, count)
        if made:
            self._take(self._features.heads[:made].copy(), self._features.values[:made].copy())

    def lost(self) -> None:
        """Nothing is remembered over what is missing."""
        if self._features is not None:
            self._features.end_segments()


def journal_rows(
    path: Path,
    schema: FeatureSchema,
    take: Take,
    session: int | None = None,
    *,
    ignore_versions: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Replayed:
    """Replays a session as `hlhft.live.replay.replay` does, and raises what it raises; `take(heads, values)` gets the
    rows of each frame, ROW_DTYPE[n] and float32[n, F], in order, with markets as places in the session's.

    The rows are those of the live session as far as the result is equal. Where records are missing, or the journal's
    beginning was dropped, the next rows begin a segment, sequence numbers are not the live ones, and averages are those
    of a segment that begins there.
    """
    return replay(path, session, ignore_versions=ignore_versions, progress=progress, beside=_Rows(schema, take))
