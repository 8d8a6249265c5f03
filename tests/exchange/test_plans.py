from __future__ import annotations

import dataclasses

import pytest

from hlhft.exchange.plans import Form, Plan, Refused


def test_forms_are_the_types_that_answers_name() -> None:
    assert {form.value for form in Form} == {
        "order", "cancel", "modify", "twapOrder", "twapCancel", "createSubAccount", "default",
    }  # fmt: skip


def test_a_plan_is_not_changed_after_it_is_made() -> None:
    plan = Plan(form=Form.DEFAULT)
    assert (plan.legs, plan.items, plan.detail, plan.after) == ((), (), "", None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.detail = "x"  # type: ignore[misc]
    assert Refused("x") == Refused("x")
