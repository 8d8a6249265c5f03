"""What became of actions and requests: answers over HTTP and to posts (venue reference sections 4.4 and 6.1).

Answers come leg by leg; a status that the reference does not name is told as such and never guessed at. What has not
the venue's shape is a fault. Needs no compiled code, so that the watchdog may use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Literal

import msgspec

from hlhft.hyperliquid.reading import TEXT_MAX, UNDECODABLE, Fault, Id, cloid_or_none


class Outcome(IntEnum):
    """What an answer says of one leg of an action."""

    RESTING = 1
    FILLED = 2
    ERROR = 3
    SUCCESS = 4  # of a cancel
    WAITING_FOR_FILL = 5
    WAITING_FOR_TRIGGER = 6
    UNRECOGNISED = 7  # a status that the reference does not name: whoever sent the leg must stop and look


class LegStatus(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One leg's status. An average price is finer than a tick, so both numbers of a fill stay texts."""

    outcome: Outcome
    oid: int = 0
    cloid: int | None = None
    size_text: str = ""
    average_price_text: str = ""
    text: str = ""  # of an error, or the status that is not recognised


class ActionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an action, over HTTP or as a post.

    Refused as a whole: `is_ok` is False and `text` says why. There may be fewer statuses than legs: one error may stand
    for a whole batch (venue reference section 4.4).
    """

    is_ok: bool
    kind: str = ""  # order, cancel, default, ...
    statuses: tuple[LegStatus, ...] = ()
    text: str = ""


class ActionPosted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an action that was sent as a post."""

    id: int
    answer: ActionAnswer


class InfoPosted(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The answer to an information request that was sent as a post; `data` is its JSON."""

    id: int
    kind: str
    data: bytes


class PostRefused(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A post that was not carried out, with the venue's text."""

    id: int
    text: str


# The venue's shapes.


class _Resting(msgspec.Struct):
    oid: Id
    cloid: str | None = None


class _Filled(msgspec.Struct):
    total_size: str = msgspec.field(name="totalSz")
    average_price: str = msgspec.field(name="avgPx")
    oid: Id
    cloid: str | None = None


class _Status(msgspec.Struct):
    resting: _Resting | None = None
    filled: _Filled | None = None
    error: str | None = None


class _Statuses(msgspec.Struct):
    statuses: list[str | _Status]


class _Response(msgspec.Struct):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Action(msgspec.Struct):
    status: Literal["ok", "err"]
    response: msgspec.Raw


class _PostResponse(msgspec.Struct):
    type: Literal["info", "action", "error"]
    payload: msgspec.Raw = msgspec.Raw(b"null")


class _Post(msgspec.Struct):
    id: Id
    response: _PostResponse


class _Info(msgspec.Struct):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"null")


_TEXT = msgspec.json.Decoder(str)
_ACTION = msgspec.json.Decoder(_Action)
_RESPONSE = msgspec.json.Decoder(_Response)
_STATUSES = msgspec.json.Decoder(_Statuses)
_POST = msgspec.json.Decoder(_Post)
_INFO = msgspec.json.Decoder(_Info)
_OUTCOMES: Mapping[str, Outcome] = {
    "success": Outcome.SUCCESS,
    "waitingForFill": Outcome.WAITING_FOR_FILL,
    "waitingForTrigger": Outcome.WAITING_FOR_TRIGGER,
}
_WITH_STATUSES = frozenset({"order", "cancel"})


def action_answer(body: bytes | msgspec.Raw) -> ActionAnswer | Fault:
    """The answer to an action: the body of an HTTP answer, or the payload of a post's."""
    try:
        return _action_answer(body)
    except UNDECODABLE:
        return Fault.WRONG_SHAPE


def posted(data: bytes | msgspec.Raw) -> ActionPosted | InfoPosted | PostRefused:
    """The data of the channel `post`. Raises one of UNDECODABLE when it has not its shape."""
    post = _POST.decode(data)
    kind, payload = post.response.type, post.response.payload
    if kind == "action":
        return ActionPosted(id=post.id, answer=_action_answer(payload))
    if kind == "info":
        info = _INFO.decode(payload)
        return InfoPosted(id=post.id, kind=info.type, data=bytes(info.data))
    return PostRefused(id=post.id, text=_shown(payload))


def _action_answer(body: bytes | msgspec.Raw) -> ActionAnswer:
    action = _ACTION.decode(body)
    if action.status == "err":
        return ActionAnswer(is_ok=False, text=_shown(action.response))
    response = _RESPONSE.decode(action.response)
    if response.type not in _WITH_STATUSES:
        return ActionAnswer(is_ok=True, kind=response.type)
    statuses = _STATUSES.decode(response.data).statuses
    return ActionAnswer(is_ok=True, kind=response.type, statuses=tuple(map(_leg_status, statuses)))


def _leg_status(told: str | _Status) -> LegStatus:
    if isinstance(told, str):
        outcome = _OUTCOMES.get(told, Outcome.UNRECOGNISED)
        return LegStatus(outcome=outcome, text=told[:TEXT_MAX] if outcome == Outcome.UNRECOGNISED else "")
    if told.error is not None:
        return LegStatus(outcome=Outcome.ERROR, text=told.error[:TEXT_MAX])
    if told.resting is not None:
        return LegStatus(outcome=Outcome.RESTING, oid=told.resting.oid, cloid=cloid_or_none(told.resting.cloid))
    if told.filled is not None:
        filled = told.filled
        return LegStatus(
            outcome=Outcome.FILLED, oid=filled.oid, cloid=cloid_or_none(filled.cloid),
            size_text=filled.total_size, average_price_text=filled.average_price,
        )  # fmt: skip
    return LegStatus(outcome=Outcome.UNRECOGNISED)


def _shown(raw: msgspec.Raw) -> str:
    """A text, or whatever else came in its place, as much as is kept of it."""
    data = bytes(raw)
    try:
        return _TEXT.decode(data)[:TEXT_MAX]
    except UNDECODABLE:
        return data[:TEXT_MAX].decode(errors="replace")
