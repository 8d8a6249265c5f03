from __future__ import annotations

import msgspec

from hlhft.exchange.answers import client_fault, json_answer, unreadable


def test_answers_are_what_the_official_client_reads() -> None:
    assert json_answer({"a": [1]}).body == b'{"a":[1]}'
    assert json_answer(None).status == 200
    fault = client_fault(429, "too many")
    assert fault.status == 429
    assert msgspec.json.decode(fault.body) == {"code": 429, "msg": "too many", "data": None}
    assert unreadable().body == b"Failed to deserialize the JSON body into the target type"
    assert (unreadable("why \udc80").status, unreadable("x").is_json) == (422, False)
    assert unreadable("why").body.endswith(b": why")
