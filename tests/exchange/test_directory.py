"""What answers need to know of who is who."""

from __future__ import annotations

from hlhft.exchange.directory import Agent, Budget, Directory, SubAccount
from tests.exchange.hall import ANN, People


def test_whoever_keeps_it_can_answer():
    people: Directory = People()
    assert isinstance(people.agents_of(ANN, 0)[0], Agent)
    assert isinstance(people.sub_accounts_of(ANN)[0], SubAccount)
    assert isinstance(people.budget_of(ANN), Budget)
