"""What other programs say is kept, and what goes wrong is one sentence without what they were given."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hlhft.deploy.errors import StepError
from hlhft.deploy.programs import COMPLAINT_CHARACTERS_MAX, found, run, watched


def script(text: str) -> list[str]:
    return ["sh", "-c", text]


def test_its_output_is_returned() -> None:
    assert run(["cat"], stdin=b"in") == b"in"
    assert run(script("echo $SAID"), environment={"SAID": "this"}) == b"this\n"


def test_its_last_complaint_is_told_and_its_input_never() -> None:
    with pytest.raises(StepError) as caught:
        run(script("echo first >&2; echo >&2; echo 'the last' >&2; exit 7"), stdin=b"hidden")
    assert str(caught.value) == "sh ended with exit code 7: the last"


def test_a_complaint_is_bounded() -> None:
    with pytest.raises(StepError) as caught:
        run(script("head -c 5000 /dev/zero | tr '\\0' x >&2; exit 1"))
    assert len(str(caught.value)) < COMPLAINT_CHARACTERS_MAX + 60


def test_it_may_show_itself(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(script("echo shown >&2; echo kept"), shows=True) == b"kept\n"
    assert capfd.readouterr().err == "shown\n"


@pytest.mark.parametrize("runner", [run, watched])
def test_it_has_only_so_much_time(runner: object) -> None:
    assert callable(runner)
    with pytest.raises(StepError, match=r"^sleep did not end within 0\.05 s$"):
        runner(["sleep", "10"], seconds=0.05)


def test_one_that_shows_itself_and_fails() -> None:
    watched(script("true"), seconds=5)
    with pytest.raises(StepError, match=r"^sh ended with exit code 3; what it wrote above says why$"):
        watched(script("exit 3"), seconds=5)


def test_a_program_beside_this_python_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    name = Path(sys.executable).name
    assert found(name) == str(Path(sys.executable).parent / name)
    with pytest.raises(StepError, match="the program no-such-program is needed and was not found"):
        found("no-such-program")
