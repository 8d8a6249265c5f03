"""What the machine is told and demands are values: equal when they say the same."""

from __future__ import annotations

from hlhft.alpha.serving import messages
from tests.alpha.wired import signal_of


def test_every_input_and_every_effect_is_handled_by_its_type_alone() -> None:
    inputs, effects = messages.Input.__args__, messages.Effect.__args__  # type: ignore[attr-defined]
    assert len(set(inputs)) == 8 and len(set(effects)) == 6 and not set(inputs) & set(effects)


def test_effects_with_equal_contents_are_equal() -> None:
    assert messages.Publish(signal_of()) == messages.Publish(signal_of())
    assert messages.Publish(signal_of()) != messages.Publish(signal_of(sequence=6))
