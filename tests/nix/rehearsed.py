"""The host `rehearsal` of tests/nix/bases.nix as a machine: booted with keys made for it, asked in its own words."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import secrets
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hlhft.config import ports
from hlhft.exchange.known_account import SEED, test_signer
from tests.nix.evaluator import evaluated
from tests.nix.laying import lay
from tests.nix.machine import Machine
from tests.nix.shared import COMPILING, Shared
from tests.nix.tree import layered, require_machines

MANIFEST = "checks.x86_64-linux.refusals.manifests.rehearsal"
SECRETS = "/var/lib/hlhft-secrets"
UNITS = "/etc/systemd/system"
KEYS = ("agent-key", "watchdog-key", "heartbeat-secret")
CALLED = {"page-url": "/page", "ticket-url": "/ticket", "heartbeat-url": "/heartbeat"}
CALLED_PORT = 9998
ACCOUNT = test_signer(SEED).address
CONTROL = "/run/hlhft-engine/control.sock"
INSIDE = "10.100.0.1"
COMPILED_S = 420.0  # the first start compiles; one that takes longer than this on an idle machine is broken
TRADING_S = 60.0
ADDRESSES = 200
# From addresses of its own in turn: the exchange limits each, and the engine's share is not the test's.
_ASK = """
import http.client, sys
_, source, host, port, path, body = sys.argv
client = http.client.HTTPConnection(host, int(port), timeout=5, source_address=(source, 0))
client.request("POST" if body else "GET", path, body or None, {"Content-Type": "application/json"})
answer = client.getresponse()
print(answer.read().decode())
sys.exit(answer.status != 200)
"""
# Stands for whoever is called with alerts: keeps what it is told, a line each, the path first.
_CALLED = """
import http.server
class Called(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open("/run/called", "a") as told:
            print(self.path, body, file=told)
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", PORT), Called).serve_forever()
""".replace("PORT", str(CALLED_PORT))


class Host(Machine):
    """The machine, and what one asks of it."""

    _asked = itertools.count()

    def web(self, host: str, port: int, path: str, body: str = "") -> Any:
        """The JSON that a server in it answers. Raises MachineError."""
        source = f"127.0.1.{next(self._asked) % ADDRESSES + 1}"
        return json.loads(self.succeed(shlex.join(["python3", "-c", _ASK, source, host, str(port), path, body])))

    def exchange(self, kind: str) -> Any:
        """What the exchange answers about the account, over the venue's own protocol."""
        body = json.dumps({"type": kind, "user": ACCOUNT})
        return self.web("127.0.0.1", ports.PAPER_EXCHANGE, "/info", body)

    def sides(self) -> set[str]:
        """The sides on which the account's orders rest at the exchange: A, B or both."""
        return {order["side"] for order in self.exchange("openOrders")}

    def numbers(self, query: str) -> list[float]:
        """What Prometheus in it answers to an expression, the values alone."""
        told = self.web(INSIDE, ports.PROMETHEUS, f"/api/v1/query?{urlencode({'query': query})}")
        return [float(series["value"][1]) for series in told["data"]["result"]]

    def status(self) -> dict[str, Any]:
        """What `hlhft status` says of the engine to root; empty while none answers."""
        code, text = self.execute(f"hlhft status --socket {CONTROL} --json")
        return dict(json.loads(text)) if text and code in (0, 4) else {}

    def quotes(self) -> bool:
        """Whether the engine quotes both sides, by its own word and the exchange's."""
        status = self.status()
        return status.get("stage") == "quoting" and self.sides() == {"A", "B"}

    def pid(self, unit: str) -> int:
        """The unit's main process; 0 without one."""
        return int(self.get_unit_property(unit, "MainPID"))

    def probe(self, unit: str, pid: int) -> dict[str, Any]:
        """What tests/nix/probe.py says in a unit that is like this one in all but its program and its folder in /run,
        which a unit takes with it when it ends."""
        text = self.succeed(f"cat /etc/systemd/system/{unit}.service")
        text = re.sub(
            r"^ExecStart=.*$", f"ExecStart=/usr/bin/python3 /usr/lib/probe.py {pid}", text, flags=re.MULTILINE
        )
        text = re.sub(r"^Type=.*$", "Type=exec", text, flags=re.MULTILINE)
        text = re.sub(r"^RuntimeDirectory=(.*)$", r"RuntimeDirectory=probe-\1", text, flags=re.MULTILINE)
        text = re.sub(r"^(Restart|After|Wants|Requires|RemainAfterExit)=.*\n", "", text, flags=re.MULTILINE)
        name = f"probe-{unit}"
        self.write("/usr/lib/probe.py", Path(__file__).with_name("probe.py").read_text())
        self.write(f"/run-probe/{name}.service", text)
        output = f"/var/{name}.json"
        place = f"/run/systemd/system/{name}.service"
        self.succeed(
            f"cp /run-probe/{name}.service {place}"
            f" && sed -i 's|^\\[Service\\]|[Service]\\nStandardOutput=truncate:{output}|' {place}"
            f" && systemctl daemon-reload && systemctl start --wait {name}"
        )
        return dict(json.loads(self.succeed(f"cat {output}")))


@contextlib.contextmanager
def rehearsing(folder: Path, shared: Shared) -> Iterator[Host]:
    """The host, booted: what compiles is up, other units may still be starting. `folder` is used up."""
    require_machines()
    manifest = evaluated(MANIFEST)
    with layered(shared.trees(), folder / "layer") as root, Host("rehearsal", root) as host:
        lay(root, manifest)
        for name in KEYS:
            host.write(f"{SECRETS}/{name}", f"{secrets.token_hex(32)}\n", mode=0o600)
        for name, path in CALLED.items():
            host.write(f"{SECRETS}/{name}", f"http://127.0.0.1:{CALLED_PORT}{path}\n", mode=0o600)
        host.write("/usr/lib/called.py", _CALLED)
        host.write(f"{UNITS}/called.service", "[Service]\nExecStart=/usr/bin/python3 /usr/lib/called.py\n")
        # As soon as Alertmanager is, which calls at once; and the recorder when a test asks for it.
        (root / f"{UNITS}/alertmanager.service.wants".lstrip("/")).mkdir()
        (root / f"{UNITS}/alertmanager.service.wants/called.service".lstrip("/")).symlink_to("../called.service")
        (root / f"{UNITS}/multi-user.target.wants/hlhft-recorder.service".lstrip("/")).unlink()
        with shared.compiled(root):
            host.start()
            for unit in COMPILING:
                host.wait_for_unit(unit, timeout=COMPILED_S)
        yield host
