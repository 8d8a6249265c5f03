"""Prices and sizes that somebody wrote as floats, back as the whole ticks and lots they stand for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hlhft.data.errors import DataError

TOLERANCE = 1e-9
Refuse = Callable[[NDArray[np.bool_], str], None]


def refusing(path: object, first_row: int) -> Refuse:
    """What raises DataError for the first row that is wrong, bool[n], with a message; rows count from `first_row`."""

    def refuse(wrong: NDArray[np.bool_], message: str) -> None:
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            raise DataError(str(path), f"row {first_row + index}", f"{message}, correct or drop the row")

    return refuse


def cut_to_lots(
    values: NDArray[np.float64], decimals: int, resting: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], int]:
    """(sizes without what is finer than a lot where `resting`, how many of them lost something).

    What is no number passes: `whole` refuses it by its row.
    """
    finite = np.where(np.isfinite(values), values, 0.0)
    scaled = finite * 10.0**decimals
    finer = resting & (np.abs(np.rint(scaled) / 10.0**decimals - finite) > TOLERANCE)
    if not finer.any():
        return values, 0
    return np.where(finer, np.floor(scaled) / 10.0**decimals, values), int(finer.sum())


def whole(
    values: NDArray[np.float64], decimals: int, maximum: int, refuse: Refuse, what: str, unit: str
) -> NDArray[np.int64]:
    """`values`, float64[n], in whole units of 10^-decimals from 0 to `maximum`; refuses what is none within 1e-9."""
    refuse(~np.isfinite(values), f"{what} is not finite, expected a number")
    refuse((values < 0) | (values > maximum / 10.0**decimals), f"{what} is out of range, expected 0 or more")
    units = np.rint(values * 10.0**decimals)
    refuse(np.abs(units / 10.0**decimals - values) > TOLERANCE, f"{what} is no whole {unit} of 1e-{decimals}")
    return units.astype(np.int64)
