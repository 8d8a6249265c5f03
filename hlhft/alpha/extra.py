"""The one sentence for packages that are not installed: what trains and serves models is an extra of its own.

Everything that trades and backtests works without it. A command that needs it asks here first, before any work.
"""

from __future__ import annotations

import importlib.util


class MissingExtra(Exception):
    """Packages of the extra `alpha` are not installed; the sentence names them and says how to install them."""


def need(what: str, *packages: str) -> None:
    """Returns when all `packages` (names as imported) are there; imports none of them.

    `what` begins the sentence, say "training". Raises MissingExtra otherwise.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        those = f"package {missing[0]}, which is" if len(missing) == 1 else f"packages {', '.join(missing)}, which are"
        raise MissingExtra(f"{what} needs the Python {those} not installed: run make install-alpha")
