"""What cannot work is refused with a sentence: every configuration of bad/, and each assertion by one of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.nix.evaluator import ROOT, EvaluationError, evaluated

pytestmark = pytest.mark.nix

REFUSALS = "checks.x86_64-linux.refusals"
BAD = sorted(path.stem for path in Path(__file__).with_name("bad").glob("*.nix"))
MESSAGE = re.compile(r'^\s*message = "(.*)";$', re.MULTILINE)


def patterns() -> dict[str, re.Pattern[str]]:
    """Each assertion's message as a pattern, by where it stands; what is computed may be anything."""
    found = {}
    for path in sorted((ROOT / "nixos").rglob("*.nix")):
        text = path.read_text()
        messages = MESSAGE.findall(text)
        assert len(messages) == len(re.findall(r"^\s*assertion =", text, re.MULTILINE)), (
            f"{path}: an assertion without a message on one line of its own"
        )
        for message in messages:
            parts = re.split(r"\$\{[^}]*\}", message.replace('\\"', '"'))
            found[f"{path.relative_to(ROOT)}: {message}"] = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    return found


def test_the_bases_are_accepted() -> None:
    accepted = evaluated(f"{REFUSALS}.accepted")
    bases = ("example", "full", "paper", "rehearsal", "tightened", "watchtower", "worker")
    assert accepted == {base: [] for base in bases}


def test_there_are_enough() -> None:
    assert len(BAD) >= 40
    assert sorted(evaluated(f"{REFUSALS}.verdicts")) == BAD


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_with_the_message_it_states(name: str) -> None:
    verdict = evaluated(f"{REFUSALS}.verdicts")[name]
    assert verdict["refused"], f"accepted, or refused otherwise: {verdict}"
    if verdict["messages"] is not None:
        assert sum(verdict["message"] in message for message in verdict["messages"]) == 1
        return
    with pytest.raises(EvaluationError, match=re.escape(verdict["message"])):
        evaluated(f"{REFUSALS}.thrown.{name}")


def test_every_assertion_is_the_one_that_refuses_something() -> None:
    stated = [
        message
        for verdict in evaluated(f"{REFUSALS}.verdicts").values()
        for message in verdict["messages"] or ()
        if verdict["message"] in message
    ]
    untested = [place for place, pattern in patterns().items() if not any(map(pattern.fullmatch, stated))]
    assert untested == [], "no configuration of bad/ is refused by these"
