"""A research host's evaluated units under a real systemd: its scheduler and a worker know each other by certificates
that are credentials, run a task for who has one, and nobody else is heard."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator

import pytest

from hlhft.config import ports
from tests.monitor.test_exporter import Authority
from tests.nix.evaluator import manifest
from tests.nix.laying import lay
from tests.nix.machine import Machine
from tests.nix.shared import shared_by
from tests.nix.tree import VENV, layered, require_machines

pytestmark = pytest.mark.systemd

INSIDE = "10.100.0.3"
SECRETS = "/var/lib/hlhft-secrets"
STORE = "/mnt/hlhft/store"
KEYS = ("cluster-ca", "cluster-cert", "cluster-key")
WORKING_S = 60.0
# Runs one task of no use, and says what came of it.
CLIENT = """
import sys, time
from pathlib import Path
from hlhft.scale.dask_backend import Tls, connect
from hlhft.scale.revision import revision
from hlhft.scale.running import run
from hlhft.scale.storage import Storage
from hlhft.scale.task import Task
_, address, store, folder = sys.argv
files = [Path(folder, name) for name in ("cluster-ca", "cluster-cert", "cluster-key")]
storage = Storage(store)
with connect(address, storage, tls=Tls(ca=files[0], certificate=files[1], key=files[2])) as backend:
    while not backend.slots():
        time.sleep(0.1)
    ran = run([Task(function="hlhft.scale.probe:busy", seed=7, revision=revision())], backend, storage)
    print(*map(bytes.decode, ran.results()))
"""
# Ends with 0 when its certificate is heard: the scheduler speaks first.
GREETING = """
import socket, ssl, sys
_, host, port, folder, authority = sys.argv
context = ssl.create_default_context(cafile=authority)
context.check_hostname = False
context.verify_flags &= ~ssl.VERIFY_X509_STRICT
context.load_cert_chain(f"{folder}/cluster-cert", f"{folder}/cluster-key")
with socket.create_connection((host, int(port)), timeout=10) as plain, context.wrap_socket(plain) as secured:
    assert secured.recv(1)
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    require_machines()
    folder = tmp_path_factory.mktemp("c")
    with layered(shared_by(tmp_path_factory).trees(), folder / "layer") as root, Machine("research", root) as booted:
        lay(root, manifest("worker"))
        # One process is as good as fifteen, and faster.
        unit = root / "etc/systemd/system/hlhft-worker.service"
        text = unit.read_text()
        assert " --processes 15 " in text
        unit.write_text(text.replace(" --processes 15 ", " --processes 1 "))
        for name, place in (("ours", SECRETS), ("theirs", "/var/test/theirs")):
            certificates = tmp_path_factory.mktemp(name)
            authority = Authority(certificates, "authority")
            for key, file in zip(KEYS, (authority.file, *authority.issue("host"))):
                booted.write(f"{place}/{key}", file.read_text(), mode=0o600)
        booted.write("/var/test/client.py", CLIENT)
        booted.write("/var/test/greeting.py", GREETING)
        booted.start()
        booted.succeed(
            f"ip link add wg0 type veth peer name far && ip address add {INSIDE}/24 dev wg0 && ip link set wg0 up",
            "systemctl restart --no-block hlhft-scheduler hlhft-worker",
        )
        for port in (ports.SCHEDULER, ports.WORKER_FIRST):
            booted.wait_for_open_port(port, INSIDE)
        yield booted


def test_a_worker_runs_a_task_for_who_has_a_certificate(machine: Machine) -> None:
    words = [f"{VENV}/bin/python3", "/var/test/client.py", f"tls://{INSIDE}:{ports.SCHEDULER}", STORE, SECRETS]
    told = machine.succeed(f"umask 0007; {shlex.join(words)}", timeout=WORKING_S)
    assert told.strip() == hashlib.blake2b(b" 7", digest_size=16).hexdigest()
    made = machine.succeed(f"find {STORE} -type f -user hlhft-worker").split()
    assert made, "the result, which the worker wrote"
    machine.succeed(f"setpriv --reuid=nobody --regid=hlhft --clear-groups cat {' '.join(made)} > /dev/null")
    assert machine.succeed("systemctl --failed --no-legend --plain") == ""


@pytest.mark.parametrize("unit_port", [ports.SCHEDULER, ports.WORKER_FIRST])
def test_a_certificate_of_another_authority_is_not_heard(machine: Machine, unit_port: int) -> None:
    def greeting(folder: str) -> str:
        return f"python3 /var/test/greeting.py {INSIDE} {unit_port} {folder} {SECRETS}/cluster-ca"

    machine.succeed(greeting(SECRETS))
    machine.fail(greeting("/var/test/theirs"))


@pytest.mark.parametrize("unit", ["hlhft-scheduler", "hlhft-worker"])
def test_its_key_is_the_units_alone_and_it_listens_inside(machine: Machine, unit: str) -> None:
    place = f"/run/credentials/{unit}.service/cluster-key"
    machine.succeed(f"cmp {place} {SECRETS}/cluster-key")
    for user in ("nobody", "hlhft-scheduler", "hlhft-worker"):
        if user != unit:
            machine.fail(f"setpriv --reuid={user} --regid=hlhft --clear-groups cat {place}")
    listening = machine.succeed("ss --no-header --listening --tcp --numeric").splitlines()
    # On loopback whoever asks learns that it lives, and nothing else.
    assert {line.split()[3].rpartition(":")[0] for line in listening} == {INSIDE, "127.0.0.1"}
