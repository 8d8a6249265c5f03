"""The unbroken feature rows of one market, newest last, and whether a model may be asked about them.

Rows lie in one array of a fixed size; the newest `length` of them are a view without a copy. Rows of a run have
consecutive sequence numbers and nothing between them was missed: a row that the engine marked as the first after a gap
of its own begins a new run.
"""

from __future__ import annotations

import numpy as np

from hlhft.alpha.schema import FLAG_RESET, FLAG_VALID
from hlhft.alpha.wire import HEAD_DTYPE, Reason

ROOM = 4  # windows that fit before the newest rows are moved to the front: one copy of a row in so many
NEVER = -1


class Bounds:
    """What a model was trained on: float32[F] lowest and highest of each feature."""

    def __init__(self, lowest: np.ndarray, highest: np.ndarray) -> None:
        assert lowest.shape == highest.shape and lowest.ndim == 1 and (lowest <= highest).all()
        self.lowest = lowest.astype(np.float32)
        self.highest = highest.astype(np.float32)

    def holds(self, values: np.ndarray) -> bool:
        """Whether all of float32[n, F] are numbers within the bounds."""
        return bool(((values >= self.lowest) & (values <= self.highest)).all())

    def outside(self, values: np.ndarray) -> np.ndarray:
        """bool[n]: which rows of float32[n, F] lie outside; a row with a number that is none does not."""
        return np.asarray(((values < self.lowest) | (values > self.highest)).any(axis=1))


class Window:
    """The run of one market. Positions are sequence numbers; -1 for none."""

    def __init__(self, length: int, features: int) -> None:
        self.length = length
        self._heads = np.zeros(ROOM * length, HEAD_DTYPE)
        self._values = np.zeros((ROOM * length, features), np.float32)
        self._end = 0
        self.count = 0  # rows of the run that are kept, at most `length`
        self.newest = NEVER
        self.data_ns = 0  # when the newest row was received
        self._last: dict[Reason, int] = {}  # newest row with each fault
        self.forget()

    def forget(self) -> None:
        """Nothing is known any more."""
        self._end = self.count = self.data_ns = 0
        self.newest = NEVER
        self._last = {Reason.NOT_VALID: NEVER, Reason.NOT_FINITE: NEVER, Reason.OUT_OF_RANGE: NEVER}

    @property
    def is_full(self) -> bool:
        """Whether there are as many rows as a model looks at."""
        return self.count == self.length

    def view(self) -> np.ndarray:
        """float32[1, length, F], a view that the next row changes."""
        assert self.is_full
        return self._values[None, self._end - self.length : self._end]

    def append(self, heads: np.ndarray, values: np.ndarray, bounds: Bounds | None) -> bool:
        """Rows that follow the newest. `heads` has the fields of HEAD_DTYPE[n], `values` is float32[n, F], n > 0.
        True when a new run began among them."""
        if len(heads) == 1:
            return self._append_one(heads, values, bounds)
        assert self.count == 0 or int(heads["sequence"][0]) == self.newest + 1
        resets = np.flatnonzero(heads["flags"] & FLAG_RESET)
        if len(resets):
            # What came before a gap of the engine is of another run.
            heads, values = heads[resets[-1] :], values[resets[-1] :]
            self.forget()
        heads, values = heads[-self.length :], values[-self.length :]
        self._judge(heads, values, bounds)
        self._put(heads, values, int(heads["sequence"][-1]), int(heads["ts_local_ns"][-1]))
        return len(resets) > 0

    def _append_one(self, heads: np.ndarray, values: np.ndarray, bounds: Bounds | None) -> bool:
        """As `append`, for the one row that mostly comes: a third of what arrays of rows cost."""
        _, local_ns, sequence, *_, flags = heads[0].item()
        assert self.count == 0 or sequence == self.newest + 1
        is_reset = bool(flags & FLAG_RESET)
        if is_reset:
            self.forget()
        if not flags & FLAG_VALID or bounds is None or not bounds.holds(values):
            self._judge(heads, values, bounds)
        self._put(heads, values, sequence, local_ns)
        return is_reset

    def is_of_before(self, heads: np.ndarray) -> bool:
        """Whether these rows are newer than what is known, and their numbers are not: they are counted anew."""
        is_numbered_before = self.count > 0 and int(heads["sequence"][-1]) <= self.newest
        return is_numbered_before and int(heads["ts_local_ns"][-1]) > self.data_ns

    def _put(self, heads: np.ndarray, values: np.ndarray, newest: int, data_ns: int) -> None:
        count = len(heads)
        if self._end + count > len(self._values):
            kept = min(self.count, self.length)
            run = slice(self._end - kept, self._end)
            self._heads[:kept], self._values[:kept] = self._heads[run], self._values[run]
            self._end = kept
        new = slice(self._end, self._end + count)
        self._heads[new], self._values[new] = heads, values
        self._end += count
        self.count = min(self.count + count, self.length)
        self.newest, self.data_ns = newest, data_ns

    def rebuild(self, heads: np.ndarray, values: np.ndarray, bounds: Bounds | None) -> bool:
        """The newest rows as the engine keeps them, n >= 0; what has come since follows them. False, and nothing
        changes, when rows are missing between the two."""
        if len(heads) == 0:
            return False
        end = int(heads["sequence"][-1])
        since = min(max(self.newest - end, 0), self.count) if self.count else 0
        if self.count and end < self.newest - self.count:
            return False
        run = slice(self._end - since, self._end)
        run_heads, run_values = self._heads[run].copy(), self._values[run].copy()
        self.forget()
        self.append(heads, values, bounds)
        if since:
            self.append(run_heads, run_values, bounds)
        return True

    def judged_again(self, bounds: Bounds | None) -> None:
        """Another model is asked from now on: its bounds are held against the rows that are kept."""
        self._last = dict.fromkeys(self._last, NEVER)
        run = slice(self._end - self.count, self._end)
        self._judge(self._heads[run], self._values[run], bounds)

    def fault(self) -> Reason:
        """Why the rows of the window are nothing to ask a model about; NONE when they are."""
        for reason, at in self._last.items():
            if at != NEVER and at > self.newest - self.length:
                return reason
        return Reason.NONE

    def _judge(self, heads: np.ndarray, values: np.ndarray, bounds: Bounds | None) -> None:
        found = (
            (Reason.NOT_VALID, (heads["flags"] & FLAG_VALID) == 0),
            (Reason.NOT_FINITE, ~np.isfinite(values).all(axis=1)),
            (Reason.OUT_OF_RANGE, bounds.outside(values) if bounds is not None else np.zeros(len(heads), bool)),
        )
        for reason, rows in found:
            if rows.any():
                self._last[reason] = int(heads["sequence"][np.flatnonzero(rows)[-1]])
