"""Three types of error with three exit codes: the user's, the environment's, and one object's, which ends nothing."""

from __future__ import annotations

import pytest

from hlhft.cli.errors import ExitCode, describe
from hlhft.data.mining.errors import MiningError, ObjectError, WishError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WishError("what"), ExitCode.USAGE),
        (MiningError("what"), ExitCode.FAILURE),
        (ObjectError("what"), ExitCode.DATA),
    ],
)
def test_each_is_its_sentence_and_its_code(error: Exception, code: ExitCode) -> None:
    assert describe(error) == ("what", code)
