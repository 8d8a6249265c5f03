"""`make fuzz`: the long fuzz of the exchange, and what it reached.

    python -m tests.exchange.fuzz_run [--inputs N] [--seed N] [--coverage]

Exits 1 when less than half of the inputs reached a handler or when memory grew; what harms the exchange raises, after
the seed and the input. With --coverage the branch coverage of hlhft/exchange by the fuzz alone is told.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable

SHARE_MIN = 0.5
GROWTH_MAX = 0.05  # of the memory held, after so many inputs: by then most of what is bounded is full
FULL_AFTER = 20_000
MIB = 1 << 20
# What the fuzz does not drive: the socket shell, files, who else trades, and how an exchange is opened.
LEFT_OUT = ["*/flow/*", "*/server.py", "*/state_file.py", "*/synthetic_flow.py", "*/opening.py"]


def measured(inputs: int, seed: int, say: Callable[[str], None]) -> bool:
    """Runs the fuzz; whether all that can be missed was reached."""
    from tests.exchange.fuzz_room import run

    start, early_bytes, held_bytes, tally = time.monotonic(), 0, 0, None
    for tally, held_bytes in run(seed, inputs, report=True):
        if tally.inputs <= FULL_AFTER:
            early_bytes = held_bytes
        if tally.inputs % 10_000 == 0:
            say(f"{tally.inputs:>9,} inputs  {time.monotonic() - start:6.0f} s  {held_bytes / MIB:6.0f} MiB")
    assert tally is not None, "at least a thousand inputs"
    for door, count in sorted(tally.sent.items()):
        say(f"{door:>9}  {count:>9,} sent  {tally.handled[door] / count:6.1%} reached a handler")
    for kind, count in sorted(tally.answers.items()):
        say(f"{count:>9,}  {kind}")
    growth = held_bytes / early_bytes - 1  # 0 in a run that ends before
    say(f"{tally.blocks:,} blocks; {tally.share_handled:.1%} of the inputs reached a handler; memory grew {growth:.1%}")
    return tally.share_handled >= SHARE_MIN and growth <= GROWTH_MAX


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description="Throws everything at the exchange.")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--coverage", action="store_true")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.inputs:,} inputs", flush=True)
    if not arguments.coverage:
        return int(not measured(arguments.inputs, arguments.seed, lambda line: print(line, flush=True)))
    if importlib.util.find_spec("coverage") is None:
        parser.error("--coverage needs the package coverage")
    from coverage import Coverage

    meter = Coverage(branch=True, include=["*/hlhft/exchange/*"], omit=LEFT_OUT, data_file=None)
    meter.start()
    is_good = measured(arguments.inputs, arguments.seed, lambda line: print(line, flush=True))
    meter.stop()
    share = meter.report(file=sys.stdout, skip_covered=False)
    print(f"branch coverage of hlhft/exchange without {', '.join(LEFT_OUT)}: {share:.1f} %")
    return int(not is_good)


if __name__ == "__main__":
    sys.exit(main())
