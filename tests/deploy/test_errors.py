"""Each way a deployment ends has an exit code."""

from __future__ import annotations

import pytest

from hlhft.cli.errors import ExitCode, describe
from hlhft.deploy.errors import Refused, StepError, VaultError


@pytest.mark.parametrize(
    ("kind", "code"), [(Refused, ExitCode.USAGE), (VaultError, ExitCode.DATA), (StepError, ExitCode.FAILURE)]
)
def test_it_ends_with_its_own_code(kind: type[Exception], code: ExitCode) -> None:
    assert describe(kind("a sentence")) == ("a sentence", code)
