"""`make bench`: measures what the README states.

    python tests/bench/run.py [--short] [SECTION…]

The full run writes docs/benchmarks.md and docs/benchmarks.json. With --short it writes nothing, and exits 1 when a
figure misses its wide gate.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.figures import Figure, shown, write  # noqa: E402


def sections() -> dict[str, Callable[..., list[Figure]]]:
    """The sections by name, in their order."""
    from tests.bench.data import data
    from tests.bench.decode import decode
    from tests.bench.duel import duel
    from tests.bench.encode import encoding
    from tests.bench.exchange import exchange
    from tests.bench.flow import flow
    from tests.bench.frames import frames
    from tests.bench.journal import journal
    from tests.bench.lanes import lanes
    from tests.bench.lives import lives
    from tests.bench.matching import matching
    from tests.bench.metrics import metrics
    from tests.bench.process import processes
    from tests.bench.scrape import scrape
    from tests.bench.signing import signing
    from tests.bench.simulation import simulation
    from tests.bench.wire import wire

    return {
        "duel": duel,
        "lanes": lanes,
        "process": processes,
        "frames": frames,
        "decode": decode,
        "matching": matching,
        "signing": signing,
        "encode": encoding,
        "journal": journal,
        "metrics": metrics,
        "wire": wire,
        "scrape": scrape,
        "lives": lives,
        "data": data,
        "exchange": exchange,
        "flow": flow,
        "simulation": simulation,
    }


def main() -> int:
    """Runs the sections and prints each figure as it comes."""
    parser = argparse.ArgumentParser(description="Measures what the README states.")
    parser.add_argument("--short", action="store_true", help="fewer samples, wide gates, nothing written")
    parser.add_argument("sections", nargs="*", help="sections to run; default all")
    arguments = parser.parse_args()
    folder = os.environ.get("HLHFT_RECORDINGS")
    if not folder:
        print("NOT MEASURED: HLHFT_RECORDINGS names no folder of recordings, and the comparison runs on them")
        return 0
    known = sections()
    unknown = set(arguments.sections) - set(known)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    figures: list[Figure] = []
    for name in arguments.sections or known:
        for figure in known[name](Path(folder), short=arguments.short):
            figures.append(figure)
            mark = "" if not figure.promise else "reached" if figure.is_met else "NOT REACHED"
            print(f"{shown(figure):>10} {figure.unit:14} {figure.promise:14} {mark:12} {figure.name}", flush=True)
    if not arguments.short and not arguments.sections:
        write(figures, ROOT / "docs")
    failed = [figure for figure in figures if arguments.short and not figure.passes_gate]
    for figure in failed:
        print(f"too slow or wrong, even by the wide gate: {figure.name}: {shown(figure)} {figure.unit}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
