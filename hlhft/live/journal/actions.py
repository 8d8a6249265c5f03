"""What the gateway sends, as the journal keeps it: never the signature, nor the body that would repeat the action."""

from __future__ import annotations

from hlhft.hyperliquid.gateway_flights import HTTP, ORDER_ID, Flight, Request
from hlhft.hyperliquid.packing import ActionKind
from hlhft.live.journal.records import HTTP_LANE, ORDER_IDS_MAX, Action


def action_of(request_id: int, flight: Flight, request: Request) -> Action:
    """The request with the action that it carries, or the noop under that action's nonce."""
    return Action(
        flight.signed.nonce,
        request_id,
        flight.batch_id,
        flight.signed.expires_after_ms or 0,
        int(ActionKind.NOOP if request.is_noop else flight.signed.kind),
        HTTP_LANE if request.lane == HTTP else request.lane,
        tuple([int(row[ORDER_ID]) for row in flight.rows[:ORDER_IDS_MAX]]),
    )
