"""The nonce sets: the window, the hundred highest, no nonce twice; against a model that keeps everything."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.exchange.nonces import DAY_MS, Nonces, NonceSettings, NonceState

NOW = 1_770_000_000_000
ALICE, BOB = "0x" + 40 * "a", "0x" + 40 * "b"


def test_nonces_need_not_come_in_order_and_none_is_taken_twice() -> None:
    nonces = Nonces()
    for nonce in (NOW + 5, NOW, NOW + 9, NOW + 7, NOW - 100):
        assert nonces.use(ALICE, nonce, NOW) is None
    assert nonces.used(ALICE) == (NOW - 100, NOW, NOW + 5, NOW + 7, NOW + 9)
    assert nonces.use(ALICE, NOW + 7, NOW) == f"Invalid nonce: duplicate nonce {NOW + 7}"
    assert nonces.use(BOB, NOW + 7, NOW) is None, "every signer has a set of its own"


@pytest.mark.parametrize(
    ("nonce", "is_taken"),
    [
        (NOW - 2 * DAY_MS, False),
        (NOW - 2 * DAY_MS + 1, True),
        (NOW + DAY_MS - 1, True),
        (NOW + DAY_MS, False),
        (0, False),
        (-1, False),
        (2**64, False),
    ],
)
def test_the_window_around_block_time_is_open_on_both_sides(nonce: int, is_taken: bool) -> None:
    nonces = Nonces()
    refusal = nonces.use(ALICE, nonce, NOW)
    assert (refusal is None) is is_taken
    assert nonces.used(ALICE) == ((nonce,) if is_taken else ())
    assert refusal is None or ("nonce" in refusal and str(nonce) in refusal)


def test_a_full_set_keeps_the_highest_and_takes_only_what_is_above_the_lowest() -> None:
    nonces = Nonces()
    for nonce in range(NOW, NOW + 200, 2):
        assert nonces.use(ALICE, nonce, NOW) is None
    assert nonces.use(ALICE, NOW - 1, NOW) == f"Invalid nonce: nonce {NOW - 1} is not above the lowest of the last 100"
    assert nonces.use(ALICE, NOW, NOW) == f"Invalid nonce: duplicate nonce {NOW}"
    assert nonces.use(ALICE, NOW + 1, NOW) is None
    assert len(nonces.used(ALICE)) == 100 and nonces.used(ALICE)[0] == NOW + 1
    assert nonces.use(ALICE, NOW, NOW) is not None, "what fell out of the set cannot come back"


def test_whether_the_lowest_counts_before_the_set_is_full_is_a_setting() -> None:
    strict = Nonces(NonceSettings(lowest_counts_from_first=True))
    assert strict.use(ALICE, NOW, NOW) is None
    assert strict.use(ALICE, NOW - 1, NOW) is not None and strict.use(ALICE, NOW + 2, NOW) is None
    assert strict.use(ALICE, NOW + 1, NOW) is None
    assert Nonces.from_state(strict.state()).use(ALICE, NOW - 1, NOW) is None


def test_checking_uses_nothing_up() -> None:
    nonces = Nonces()
    assert nonces.check(ALICE, NOW, NOW) is None and nonces.check(ALICE, NOW, NOW) is None
    assert nonces.use(ALICE, NOW, NOW) is None and nonces.check(ALICE, NOW, NOW) is not None


def test_signers_are_bounded_and_only_those_beyond_replay_are_forgotten() -> None:
    nonces = Nonces(NonceSettings(signers_max=2))
    assert nonces.use(ALICE, NOW, NOW) is None and nonces.use(BOB, NOW + DAY_MS - 1, NOW) is None
    late = NOW + 2 * DAY_MS - 1
    assert nonces.use("0xc", late, late) == "Invalid nonce: too many signers"
    assert nonces.use("0xc", late + 1, late + 1) is None
    assert nonces.used(ALICE) == () and nonces.used(BOB) == (NOW + DAY_MS - 1,)
    assert nonces.use(ALICE, NOW, late + 1) is not None, "a forgotten signer's nonces lie before the window"


def test_the_state_survives_a_restart() -> None:
    nonces = Nonces()
    for nonce in (NOW + 5, NOW):
        nonces.use(ALICE, nonce, NOW)
    state = msgspec.json.decode(msgspec.json.encode(nonces.state()), type=NonceState)
    restored = Nonces.from_state(state)
    assert restored.used(ALICE) == nonces.used(ALICE) == (NOW, NOW + 5)
    assert restored.use(ALICE, NOW + 5, NOW) is not None and restored.use(ALICE, NOW + 1, NOW) is None
    assert nonces.used(ALICE) == (NOW, NOW + 5), "the restored sets are copies"


class Model:
    """Every accepted nonce for ever; the rule of the reference, by sorting."""

    def __init__(self, kept: int, from_first: bool) -> None:
        self.kept, self.from_first = kept, from_first
        self.accepted: dict[str, set[int]] = {}

    def takes(self, signer: str, nonce: int, now_ms: int) -> bool:
        if not (nonce > now_ms - 2 * DAY_MS and nonce < now_ms + DAY_MS):
            return False
        highest = sorted(self.accepted.get(signer, set()))[-self.kept :]
        if nonce in highest:
            return False
        if highest and nonce < highest[0] and (self.from_first or len(highest) == self.kept):
            return False
        self.accepted.setdefault(signer, set()).add(nonce)
        return True


steps = st.tuples(
    st.sampled_from([ALICE, BOB]),
    st.integers(-40, 40) | st.sampled_from([-2 * DAY_MS, -2 * DAY_MS + 1, DAY_MS - 1, DAY_MS]),
    st.integers(0, 3),
)


@given(st.lists(steps, max_size=120), st.integers(1, 6), st.booleans())
@settings(max_examples=60)
def test_any_sequence_is_judged_as_by_the_model(
    sequence: list[tuple[str, int, int]], kept: int, from_first: bool
) -> None:
    nonces = Nonces(NonceSettings(kept=kept, lowest_counts_from_first=from_first))
    model = Model(kept, from_first)
    now_ms, taken = NOW, set()
    for signer, offset, elapsed_ms in sequence:
        now_ms += elapsed_ms
        before = nonces.used(signer)
        is_taken = nonces.use(signer, now_ms + offset, now_ms) is None
        assert is_taken is model.takes(signer, now_ms + offset, now_ms)
        assert nonces.used(signer) == tuple(sorted(model.accepted.get(signer, set()))[-kept:])
        if is_taken:
            assert (signer, now_ms + offset) not in taken, "no nonce is ever taken twice"
            taken.add((signer, now_ms + offset))
        else:
            assert nonces.used(signer) == before
