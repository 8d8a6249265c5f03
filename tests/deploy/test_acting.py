"""A host is installed with its own keys, changed, and changed back, on a real sshd; sops and age are real, and what
builds and installs systems is played by scripts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hlhft.deploy import acting, making, vault
from hlhft.deploy.acting import Order
from hlhft.deploy.errors import Refused, StepError, VaultError
from tests.deploy.checkout import Checkout
from tests.deploy.sshd import LOCKED_OUT, NEW, OLD, FakeHost, strangers_key


@pytest.fixture
def fake(made: Checkout, tmp_path: Path) -> Iterator[FakeHost]:
    made.evaluates(made.facts(), system=NEW)
    with FakeHost(made, tmp_path) as there:
        yield there


class Clock:
    """Passes by being slept."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.01
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def order(checkout: Checkout, said: list[str], fake: FakeHost | None = None, **changes: Any) -> Order:
    """What is to be done; its client's file lies beside the checkout."""
    found: dict[str, Any] = {
        "to": None if fake is None else fake.target,
        "options": () if fake is None else fake.options,
    }
    return Order(
        checkout.places, checkout.identity, checkout.root.parent / "client.conf", said.append, **{**found, **changes}
    )


class TestInstall:
    def test_it_goes_in_with_its_own_keys(self, made: Checkout, fake: FakeHost, tmp_path: Path) -> None:
        taken = tmp_path / "taken"
        made.program("nixos-anywhere", f'cp -a "$4" {taken}; echo "$4" > {tmp_path}/extra')
        said: list[str] = []
        before = os.umask(0o077)
        try:
            acting.install(order(made, said, fake))
        finally:
            os.umask(before)
        found = [path for path in (taken, *taken.rglob("*")) if path.is_dir()]
        folders = {path.relative_to(taken).as_posix(): path.stat().st_mode & 0o777 for path in found}
        assert folders.pop("var/lib/sops-nix") == 0o700
        assert set(folders.values()) == {0o755}, "they become the modes of the host's own folders, its root's too"
        key = taken / "var/lib/sops-nix/key.txt"
        assert key.stat().st_mode & 0o777 == 0o600
        assert vault.decrypt(made.places.secrets, key), "the installed host reads its secrets with that key"
        public = making.public_keys(made.places)
        assert (taken / "etc/ssh/ssh_host_ed25519_key.pub").read_text() == public.ssh + "\n"
        assert (taken / "etc/ssh/ssh_host_ed25519_key").stat().st_mode & 0o777 == 0o600
        extra = (tmp_path / "extra").read_text().strip()
        assert extra.startswith(("/dev/shm/", "/run/"))
        assert not Path(extra).exists()
        (line,) = (line for line in made.lines if line.startswith("nixos-anywhere"))
        options = " ".join(f"--ssh-option {option}" for option in fake.options)
        assert line == (
            f"nixos-anywhere --flake {made.root}#trader --extra-files {extra} {options} --target-host {fake.target}"
        )

    def test_the_operator_gets_a_way_in(self, made: Checkout, fake: FakeHost) -> None:
        made.program("nixos-anywhere")
        said: list[str] = []
        told = order(made, said, fake)
        acting.install(told)
        assert told.client.stat().st_mode & 0o777 == 0o600
        private = vault.decrypt(made.places.operator, made.identity)["wireguard-key"].reveal()
        assert f"PrivateKey = {private}\n" in told.client.read_text()
        assert "Endpoint = 127.0.0.1:51820" in told.client.read_text()
        wallets = making.public_keys(made.places).wallets
        assert f"Approve {wallets['agent']} as the account's API wallet named agent, or it may not trade" in said
        assert not [sentence for sentence in said if private in sentence]

    def test_cpus_that_do_not_exist(self, made: Checkout, fake: FakeHost) -> None:
        made.program("nixos-anywhere")
        fake.program("nproc", "echo 8")
        with pytest.raises(Refused, match="is 16 and the machine has 8"):
            acting.install(order(made, [], fake))
        assert not [line for line in made.lines if line.startswith("nixos-anywhere")]

    def test_what_is_not_ready_is_refused_before_anybody_is_asked(self, made: Checkout) -> None:
        made.evaluates(made.facts(secrets=["page-url"]))
        with pytest.raises(VaultError, match=r"trader\.json lacks page-url"):
            acting.install(order(made, [], to="root@127.0.0.1"))
        made.evaluates(made.facts(address=None))
        with pytest.raises(Refused, match="where the machine is found is not known: say --to root@ADDRESS"):
            acting.install(order(made, []))
        made.program("nix", "echo {}")
        with pytest.raises(VaultError, match="its configuration is of another version"):
            acting.install(order(made, []))

    def test_a_failed_installation_leaves_no_way_in(self, made: Checkout, fake: FakeHost) -> None:
        made.program("nixos-anywhere", "exit 3")
        told = order(made, [], fake)
        with pytest.raises(StepError, match="nixos-anywhere ended with exit code 3"):
            acting.install(told)
        assert not told.client.exists()


class TestSwitch:
    def test_it_is_confirmed_over_a_new_connection(self, made: Checkout, fake: FakeHost) -> None:
        said: list[str] = []
        acting.switch(order(made, said, fake, pause_s=0.05))
        assert (fake.runs, fake.boots) == (NEW, NEW)
        assert said[-1] == f"Confirmed: {NEW} runs, and is what boots"
        copied = f"copy --to ssh-ng://{fake.target} {NEW}"
        assert [line for line in made.lines if line.endswith(copied)]
        fake.timer_fires()
        assert fake.runs == NEW

    def test_one_that_locks_everybody_out_goes_back(self, made: Checkout, fake: FakeHost) -> None:
        clock = Clock()
        made.evaluates(made.facts(), system=LOCKED_OUT)
        told = order(made, [], fake, clock=clock, sleep=clock.sleep, pause_s=100.0)
        with pytest.raises(
            StepError, match=f"{LOCKED_OUT} was not confirmed: .*goes back to its former system by itself"
        ):
            acting.switch(told)
        assert (fake.runs, fake.boots) == (LOCKED_OUT, OLD)
        fake.timer_fires()
        assert (fake.runs, fake.boots) == (OLD, OLD)

    def test_a_confirmation_whose_answer_is_bad_is_given_again(self, made: Checkout, fake: FakeHost) -> None:
        (fake.root / "no-boot-once").touch()
        said: list[str] = []
        acting.switch(order(made, said, fake, pause_s=0.05))
        assert said[-1].startswith("Confirmed: ")
        assert fake.lines.count(f"{NEW} boot") == 2

    def test_one_that_is_kept_and_does_not_boot_is_no_success(self, made: Checkout, fake: FakeHost) -> None:
        (fake.root / "no-boot").touch()
        clock = Clock()
        told = order(made, [], fake, clock=clock, sleep=clock.sleep, pause_s=100.0)
        with pytest.raises(StepError, match=f"{NEW} was told to stay, .*: confirm again; look there"):
            acting.switch(told)
        fake.timer_fires()
        assert fake.runs == NEW

    def test_a_unit_that_fails_with_it_is_reason_enough(self, made: Checkout, fake: FakeHost) -> None:
        listed = '[ "$1" != list-units ] || ! grep -q "new-system test" {told} || echo "hlhft-engine.service x"'
        fake.program("systemctl", listed.format(told=fake.told))
        with pytest.raises(StepError, match=r"not confirmed: hlhft-engine\.service failed with the new system"):
            acting.switch(order(made, [], fake, pause_s=0.05))
        assert fake.boots == OLD
        fake.timer_fires()
        assert fake.runs == OLD

    def test_a_host_that_shows_another_key_is_not_touched(self, made: Checkout, fake: FakeHost) -> None:
        strangers_key(made)
        with pytest.raises(StepError, match="Host key verification failed"):
            acting.switch(order(made, [], fake))
        assert not fake.lines

    def test_cpus_that_do_not_exist(self, made: Checkout, fake: FakeHost) -> None:
        made.evaluates(made.facts(cpus=32), system=NEW)
        with pytest.raises(Refused, match="is 32 and the machine has 16"):
            acting.switch(order(made, [], fake))
        assert fake.runs == OLD


def test_a_rollback_is_a_switch_to_the_generation_before(made: Checkout, fake: FakeHost) -> None:
    acting.switch(order(made, [], fake, pause_s=0.05))
    # What is wrong with the new configuration does not close the way back.
    made.evaluates(made.facts(cpus=32, secrets=["missing"]))
    acting.rollback(order(made, [], fake, pause_s=0.05))
    assert (fake.runs, fake.boots) == (OLD, OLD)


def test_without_a_generation_before_nothing_is_rolled_back(made: Checkout, fake: FakeHost) -> None:
    with pytest.raises(StepError, match="there is no generation before the one that boots"):
        acting.rollback(order(made, [], fake))


@pytest.mark.parametrize("action", [acting.install, acting.switch, acting.rollback])
def test_a_rehearsal_says_every_step_and_does_none(made: Checkout, action: Any) -> None:
    made.evaluates(made.facts(), system=NEW)
    for name in ("ssh", "nixos-anywhere"):
        made.program(name)
    shutil.rmtree(made.identity.parent)
    said: list[str] = []
    told = order(made, said, is_rehearsal=True)
    action(told)
    words = {
        acting.install: ["nproc --all", "nixos-anywhere --flake", str(told.client)],
        acting.switch: ["nproc --all", "copy --to ssh-ng://root@10.100.0.1 SYSTEM", "hlhft-switch confirm SYSTEM"],
        acting.rollback: ["hlhft-switch previous", "hlhft-switch begin SYSTEM 300", "hlhft-switch confirm SYSTEM"],
    }[action]
    assert all(any(word in sentence for sentence in said) for word in words), said
    assert {line.split()[0] for line in made.lines} == {"nix"}
    assert not told.client.exists()
