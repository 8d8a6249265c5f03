"""The examples of secrets and keys: made as a host's are, but for readers whom everybody can be.

python -m tests.deploy.examples      makes them all anew
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from hlhft.deploy import keys, making, vault
from hlhft.deploy.facts import TEST_RECIPIENT
from hlhft.deploy.keys import Secret
from hlhft.deploy.places import Places

ROOT = Path(__file__).resolve().parents[2]
WORTHLESS = Path(__file__).with_name("worthless-age-key.txt")
HOSTS = ("example", "watchtower")
# Of the right form, and nobody's.
OPERATOR_SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE000000000000000000000000000000000000000000 operator"
GIVEN = {name: Secret(f"https://example.org/{name}") for name in ("page-url", "ticket-url", "heartbeat-url")}


def main() -> None:
    operator = keys.wireguard_pair().public
    heartbeat = keys.secret()
    for host in HOSTS:
        places = Places(ROOT, host)
        made = keys.host_keys(host, operator_wireguard=operator, operator_ssh=OPERATOR_SSH, heartbeat=heartbeat)
        # The host's own key is the test key, too: its private half is thrown away here.
        public = {**made.public, "age": TEST_RECIPIENT}
        vault.encrypt(places.secrets, {**made.secrets, **GIVEN}, [TEST_RECIPIENT])
        places.public.write_bytes(msgspec.json.format(msgspec.json.encode(public), indent=2) + b"\n")
        print(places.public, places.secrets, file=sys.stderr)
    places.rules.write_text(making.rules_text(places.vaults))


if __name__ == "__main__":
    main()
