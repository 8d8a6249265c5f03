"""Takes the picture of a report that the README shows: `python -m tests.report.picture [FILE]`.

It is the top of the report of the bundled recording's default backtest, at a fixed width.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from hlhft.report import page
from tests.report import sample_run
from tests.report.browser import WIDE, chromium

FILE = Path("docs/images/report.png")
HEIGHT = 1550
BYTES_MAX = 300_000


def take(path: Path) -> None:
    """Writes the picture to `path`."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        written = Path(folder, "report.html")
        written.write_text(page.render(sample_run.results()), encoding="utf-8")
        browser.open(written, width=WIDE, height=HEIGHT)
        assert browser.faults() == []
        browser.picture(path, width=WIDE, height=HEIGHT)
    assert path.stat().st_size < BYTES_MAX, f"{path} has {path.stat().st_size} bytes, at most {BYTES_MAX} are wanted"


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
