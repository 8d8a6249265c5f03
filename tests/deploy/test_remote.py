"""A host is asked over connections of their own, and only the one whose key was made for it; a real sshd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hlhft.deploy import making
from hlhft.deploy.confirming import Answer, Stage
from hlhft.deploy.errors import StepError
from hlhft.deploy.keys import ssh_pair
from hlhft.deploy.remote import Host
from tests.deploy.checkout import Checkout
from tests.deploy.sshd import OLD, FakeHost


@pytest.fixture
def fake(made: Checkout, tmp_path: Path) -> Iterator[FakeHost]:
    with FakeHost(made, tmp_path) as there:
        yield there


def known(folder: Path, public: str) -> Path:
    path = folder / "known_hosts"
    path.write_text("trader " + " ".join(public.split()[:2]) + "\n")
    return path


def test_it_answers_and_words_stay_words(fake: FakeHost, made: Checkout, tmp_path: Path) -> None:
    host = Host(fake.target, known(tmp_path, making.public_keys(made.places).ssh), "trader", fake.options)
    assert host.cpus() == 16
    assert host.run("printf", "%s|", "a b", "$HOME", "'") == "a b|$HOME|'|"
    assert host.status() == Answer(Stage.IDLE, "", "", OLD, [])
    for said in ("many", ""):
        fake.program("nproc", f"echo {said}")
        with pytest.raises(StepError, match="does not say how many CPUs it has"):
            host.cpus()
    fake.program("hlhft-switch", "echo {}")
    with pytest.raises(StepError, match="does not say how far a switch is"):
        host.status()


def test_another_that_answers_there_is_not_talked_to(fake: FakeHost, tmp_path: Path) -> None:
    host = Host(fake.target, known(tmp_path, ssh_pair("trader").public), "trader", fake.options)
    with pytest.raises(StepError, match="ssh ended with exit code 255: Host key verification failed"):
        host.run("nproc")
    assert not fake.lines
    # A rescue system is anybody.
    assert Host(fake.target, options=fake.options).cpus() == 16


def test_no_connection_is_shared(tmp_path: Path) -> None:
    options = Host("root@host", tmp_path / "known", "trader", ("Port=7",)).ssh_options
    said = options[1::2]
    assert set(options[::2]) == {"-o"}
    assert said[0] == "Port=7"
    assert {"ControlMaster=no", "ControlPath=none", "BatchMode=yes", "StrictHostKeyChecking=yes"} <= set(said)
