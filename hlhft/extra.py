"""The one sentence for packages that are not installed: models and clusters are extras of their own.

Everything that trades and backtests works without them. A command that needs one asks here first, before any work.
"""

from __future__ import annotations

import importlib.util

OF_MODELS = "run make install-alpha"
OF_CLUSTERS = "run make install, or install hlhft[scale]"


class MissingExtra(Exception):
    """Packages of an extra are not installed; the sentence names them and says how to install them."""


def need(what: str, *packages: str, how: str = OF_MODELS) -> None:
    """Returns when all `packages` (names as imported) are there; imports none of them.

    `what` begins the sentence, say "training", and `how` ends it. Raises MissingExtra otherwise.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        those = f"package {missing[0]}, which is" if len(missing) == 1 else f"packages {', '.join(missing)}, which are"
        raise MissingExtra(f"{what} needs the Python {those} not installed: {how}")
