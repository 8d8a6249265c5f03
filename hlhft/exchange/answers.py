"""What a request is answered with, before it is bytes on a socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

UNREADABLE = "Failed to deserialize the JSON body into the target type"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and a body: JSON, or plain text where the venue sends that."""

    status: int
    body: bytes
    is_json: bool = True


def json_answer(value: Any) -> Answer:
    """What was asked for, or a refused action: HTTP 200 either way (venue reference section 1)."""
    return Answer(200, msgspec.json.encode(value))


def unreadable(detail: str = "") -> Answer:
    """A body that is no known request: 422 and plain text (venue reference section 1)."""
    text = f"{UNREADABLE}: {detail}" if detail else UNREADABLE
    return Answer(422, text.encode(errors="replace"), is_json=False)


def client_fault(status: int, message: str) -> Answer:
    """A 4xx in JSON with `code` and `msg`, which the official SDK expects (venue reference section 1)."""
    return Answer(status, msgspec.json.encode({"code": status, "msg": message, "data": None}))
