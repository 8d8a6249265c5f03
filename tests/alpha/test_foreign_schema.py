from __future__ import annotations

import msgspec

from hlhft.alpha.foreign_schema import ForeignSchema

NAMES = ("bid_bp_1", "bid_size_1", "ask_bp_1", "ask_size_1", "spread", "imbalance")
SCHEMA = ForeignSchema(format="made", levels=1, names=NAMES, imbalance="imbalance")


def test_columns_are_where_a_model_looks_for_them() -> None:
    assert (SCHEMA.columns, SCHEMA.book_columns, SCHEMA.imbalance_column) == (6, 4, 5)
    assert SCHEMA.names[SCHEMA.flow_columns] == ("spread", "imbalance")


def test_the_hash_tells_schemas_apart() -> None:
    others = [
        ForeignSchema(format="other", levels=1, names=NAMES, imbalance="imbalance"),
        ForeignSchema(format="made", levels=1, names=NAMES[::-1], imbalance="imbalance"),
        ForeignSchema(format="made", levels=1, names=NAMES, imbalance="imbalance", version=2),
    ]
    assert len({SCHEMA.hash, *(other.hash for other in others)}) == 4 and len(SCHEMA.hash) == 32
    again = msgspec.json.decode(msgspec.json.encode(SCHEMA), type=ForeignSchema)
    assert again == SCHEMA and again.hash == SCHEMA.hash
