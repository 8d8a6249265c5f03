"""The recording that ships with the package; its origin and licence lie beside it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

BUNDLED_NAME = "usdm_btcusdt_20240808.gz"


def bundled() -> Path:
    """The bundled recording's path: an existing file, also in a read-only installation.

    Raises FileNotFoundError when the installation lacks it.
    """
    path = Path(str(resources.files(__name__).joinpath(BUNDLED_NAME)))
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the bundled recording is missing, reinstall the package")
    return path
