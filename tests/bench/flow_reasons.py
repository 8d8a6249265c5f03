"""Why a figure of the synthetic order flow is not within 25 % of the recording, one reason a figure.

Whoever adds one has tried. `flow.py` prints what stands here, fails for a miss that does not, and names what is no
longer needed. A reason that begins with HALVES_DIFFER is held to it: the recording's own two halves, 17 minutes each,
every other one, must be farther apart than the 25 % that are asked for.

Tried for the markouts: takers of whom a few know everything (the money then lost ten times too much, and the touch
won); all takers knowing a little, by a power of their size, which is what the recordings show and what ships; the
search weighing each figure by the recording's error, those after a second twice; and for BTC seven other days to
compare with.
Every other minute of half an hour holds about a thousand takers, a handful of whom decide the later markouts.
"""

from __future__ import annotations

HALVES_DIFFER = "the recording does not know it: its own two halves differ by more than a quarter"

_SWEEPS = f"{HALVES_DIFFER}, for the few largest takers decide it"
_LATER = f"{HALVES_DIFFER}, and its error is as large as it is, or larger: what the mid does so long after is luck"

EXPLAINED: dict[tuple[str, str], str] = {
    ("BTC", "markout_1_bp"): (
        "1.2 errors off. The half fitted to says -0.29, seven other days -0.23 with an error of 0.03, and the flow is"
        " within 25 % of the latter; the half compared has more large takers"
    ),
    ("BTC", "markout_10_bp"): (
        "0.6 errors off. The half fitted to says -0.55, seven other days -0.48, and the flow is within 10 % of both"
    ),
    ("BTC", "markout_60_bp"): _LATER,
    ("BTC", "touch_markout_1_bp"): (
        f"{HALVES_DIFFER}; the flow is within 16 % of the half fitted to and within 10 % of seven other days"
    ),
    ("BTC", "touch_markout_10_bp"): f"{HALVES_DIFFER}; the flow lies between them",
    ("BTC", "value_markout_1_bp"): (
        f"{HALVES_DIFFER}. Too adverse here all the same: the impact that fits all fills grows too fast for"
        " the very largest takers, and a flatter one left the fills that count alike too good"
    ),
    ("BTC, other days", "markout_60_bp"): (
        "two errors off, and the error is three times the figure: in the flow what has moved stays moved, there the mid"
        " came back in a minute, which no agent here knows to do"
    ),
    (
        "BTC, other days",
        "touch_markout_10_bp",
    ): "26 % and 0.7 errors off: its error is 38 %",
    ("BTC, other days", "value_markout_1_bp"): (
        "a real miss, four errors: as for the compared half, the very largest takers know too much in the flow"
    ),
    ("ETH", "event_usdc"): f"{HALVES_DIFFER}; the flow meets the half fitted to within 1 %",
    ("ETH", "markout_1_bp"): f"{_SWEEPS}; the half fitted to is off by 81 %",
    ("ETH", "markout_10_bp"): _LATER,
    ("ETH", "markout_60_bp"): _LATER,
    ("ETH", "touch_markout_10_bp"): f"{HALVES_DIFFER}; 0.2 errors off, and that after a second is near",
    ("ETH", "value_markout_1_bp"): f"{_SWEEPS}: the halves have different signs",
    ("SOL", "event_usdc"): f"{HALVES_DIFFER}; the flow meets the half fitted to within 8 %",
    ("SOL", "markout_60_bp"): f"{_LATER}: the halves have different signs",
    ("SOL", "touch_markout_1_bp"): (
        "0.3 errors off, 0.03 bp of a spread of 0.5 bp: it is the small difference of half a spread and of a move as"
        " large, and its error is larger than itself"
    ),
    ("SOL", "value_markout_1_bp"): f"{_SWEEPS}: the halves have different signs",
    ("WLFI", "usdc_per_minute"): f"{_SWEEPS}; the flow meets the half fitted to within 5 %",
    ("WLFI", "markout_1_bp"): f"{_SWEEPS}; the flow meets the half fitted to within 5 %",
    ("WLFI", "markout_10_bp"): f"{_LATER}: the halves have different signs",
    ("WLFI", "markout_60_bp"): f"{_LATER}: the halves have different signs",
    ("WLFI", "touch_markout_1_bp"): f"{HALVES_DIFFER}; 0.2 errors off",
    ("WLFI", "touch_markout_10_bp"): f"{_LATER}; the flow meets the half fitted to within 3 %",
    ("WLFI", "value_markout_1_bp"): f"{_SWEEPS}; the flow meets the half fitted to within 3 %",
}

# How much more a naive quoter may get here than on the recording, in basis points of what it trades, by its distance
# from the touch. Half an hour of recording is 400 to 1,000 fills of 500 USDC at the touch, and outside of it sometimes
# not a hundred, whose positions ride on every move: the recording does not know its own figure any better.
MARGIN_BP = {1.5: 4.0, 0.0: 1.0, -0.3: 1.0}
