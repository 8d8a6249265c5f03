"""In-sample: which times meet, embargo and all, and what is said then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.report.origins import STAMP, InSampleError, Origin, Span, meetings, refuse

DAY = 86_400_000_000_000
START = 20_000 * DAY


def origin(*, embargo_ns=0, **blocks):
    """An origin with (first day, last day) of each block."""
    spans = {
        name: (Span(coin="BTC", from_ns=START + first * DAY, to_ns=START + last * DAY),)
        for name, (first, last) in blocks.items()
    }
    return Origin(what="model 7", blocks=spans, embargo_ns=embargo_ns)


def met(one, first, last):
    return meetings([one], START + round(first * DAY), START + round(last * DAY))


@pytest.mark.parametrize(
    ("block", "word"), [("train", "fitted"), ("stop", "stopped early"), ("calibrate", "calibrated")]
)
def test_each_block_that_something_was_made_from_is_named_with_both_ranges(block, word):
    (sentence,) = met(origin(**{block: (0, 10)}), 5, 20)
    assert sentence.startswith(f"model 7 was {word} on BTC, 2024-10-04")
    assert "2024-10-14" in sentence and "2024-10-09" in sentence and "2024-10-24" in sentence


def test_the_test_block_is_none_of_them():
    assert met(origin(train=(0, 10), test=(12, 20)), 12, 20) == ()


def test_an_unknown_block_counts_as_one():
    assert len(met(origin(pretrain=(0, 10)), 5, 6)) == 1


def test_the_embargo_widens_a_block_on_both_sides():
    one = origin(train=(10, 20), embargo_ns=DAY)
    assert met(one, 0, 8.9) == () and met(one, 21.1, 30) == ()
    assert len(met(one, 0, 9)) == 1 and len(met(one, 21, 30)) == 1
    assert "with an embargo of 1 d" in met(one, 21, 30)[0]


@given(*[st.integers(-1000, 1000)] * 4, st.integers(0, 50))
def test_two_times_meet_when_they_have_a_moment_in_common(a, b, c, d, embargo):
    first, last = sorted((a, b))
    begin, end = sorted((c, d))
    span = Span(coin="BTC", from_ns=begin, to_ns=end)
    found = meetings([Origin(what="x", blocks={"train": (span,)}, embargo_ns=embargo)], first, last)
    common = set(range(first, last + 1)) & set(range(begin - embargo, end + embargo + 1))
    assert bool(found) == bool(common)


def test_refusing_says_what_was_learned_where_and_what_to_do():
    sentences = met(origin(train=(0, 10), stop=(4, 12)), 5, 6)
    assert len(sentences) == 2
    with pytest.raises(InSampleError) as raised:
        refuse(sentences)
    text = str(raised.value)
    assert text.startswith(sentences[0]) and "1 more" in text and "--in-sample" in text and STAMP in text
    refuse(())
