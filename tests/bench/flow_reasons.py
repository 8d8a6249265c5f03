"""Why a figure of the synthetic order flow is not within 25 % of the recording, one reason a figure.

Whoever adds one has tried. `flow.py` prints what stands here, fails for a miss that does not, and names what is no
longer needed. A reason that begins with HALVES_DIFFER is held to it: the recording's own two halves, 17 minutes each,
every other one, must be farther apart than the 25 % that are asked for.
"""

from __future__ import annotations

HALVES_DIFFER = "the recording does not know it: its own two halves differ by more than a quarter"

EXPLAINED: dict[tuple[str, str], str] = {}

# How much more a naive quoter may get here than on the recording, in basis points of what it trades, by its distance
# from the touch. Half an hour of recording is 400 to 1,000 fills of 500 USDC at the touch, and outside of it sometimes
# not a hundred, whose positions ride on every move: the recording does not know its own figure any better.
MARGIN_BP = {1.5: 4.0, 0.0: 1.0, -0.3: 1.0}
