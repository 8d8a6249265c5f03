"""Ends with 0 only when a program is signed with the one pinned key.

usage: node_check.py PROGRAM KEY

The signature lies beside the program, in a file of its name that ends in .asc; the key is the venue's public one.
"""

import subprocess
import sys
import tempfile
from pathlib import Path


def main(program: str, key: str) -> None:
    """Asks gpg with a keyring that holds this key alone."""
    signature = Path(f"{program}.asc")
    for path in (Path(program), signature):
        if not path.is_file():
            raise SystemExit(f"{path}: there is no such file; download it again")
    with tempfile.TemporaryDirectory() as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--no-autostart"]
        subprocess.run([*gpg, "--import", key], check=True)
        if subprocess.run([*gpg, "--verify", str(signature), program], check=False).returncode != 0:
            raise SystemExit(f"{program}: it is not signed with {key}; it is not started")


if __name__ == "__main__":
    main(*sys.argv[1:])
