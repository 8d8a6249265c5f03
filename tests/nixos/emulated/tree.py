"""The Debian tree with a kernel in which the emulated machine boots, and the emulator: made once and kept; and the
tree's image for one run."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.nix.tree import LEFT_OUT, SUITE, layered, mirror, nix_home
from tests.nixos.emulated import laid
from tests.nixos.emulated.laid import Manifest, write

PACKAGES = (
    "curl", "dbus", "ethtool", "gnupg", "initramfs-tools", "iproute2", "kmod", "linux-image-cloud-amd64", "nftables",
    "procps", "prometheus", "python3", "systemd", "systemd-sysv", "udev", "wireguard-tools",
)  # fmt: skip
EMULATOR = "qemu-system-x86"
MAKING_S = 600.0
IMAGE_MIB = 1536
OPT = "opt/hlhft-test"
# Debian's own chores, which would only take time.
CHORES = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "getty@tty1.service", "getty-static.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
    "serial-getty@ttyS0.service", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "systemd-binfmt.service",
    "systemd-logind.service", "systemd-pstore.service",
)  # fmt: skip
NETWORK = "192.168.1"


def kept_tree() -> Path:
    """The tree to boot; it is made where none is kept, which takes a minute or two. Nobody may write into it."""
    left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    return _kept("hlhft-kernel-trees", "--variant=minbase", f"--include={','.join(PACKAGES)}", *left_out)


def kept_emulator() -> Path:
    """QEMU of the tree's own suite, unpacked beside the system; it is fetched where none is kept. QEMU before 8.1 is of
    no use: its threads trip over code that the kernel changes while it runs (`Oops: int3`)."""
    return _kept("hlhft-emulators", "--variant=extract", f"--include={EMULATOR}")


def kernel_of(tree: Path) -> Path:
    """The newest kernel of a tree."""
    return sorted((tree / "boot").glob("vmlinuz-*"))[-1]


def _kept(kind: str, *options: str) -> Path:
    """What mmdebstrap makes with these options, kept under a name that says so; another that was kept before goes."""
    home = nix_home().parent / kind
    home.mkdir(parents=True, exist_ok=True)
    wanted = home / hashlib.sha256(" ".join((SUITE, *options)).encode()).hexdigest()[:16]
    if not wanted.is_dir():
        for old in home.iterdir():
            shutil.rmtree(old)
        print(f"making {wanted}", flush=True)
        made = Path(tempfile.mkdtemp(prefix="making-", dir=home))
        made.chmod(0o755)
        _run(
            "mmdebstrap", "--quiet", *options, '--aptopt=Acquire::Check-Valid-Until "false"', SUITE, str(made),
            f"deb {mirror()} {SUITE} main",
        )  # fmt: skip
        made.rename(wanted)
    return wanted


def image_of(
    tree: Path, folder: Path, name: str, manifests: Mapping[str, Manifest], *, provided: Mapping[str, Path]
) -> Path:
    """An image of the tree with machine `name` in it, and a namespace for each other machine of `manifests`. `provided`
    are files in place of what nixpkgs would build, by their names."""
    image = folder / "image"
    with layered(tree, folder / "layer") as root:
        laid.lay(root, manifests[name], provided=provided, without=("grafana.service",))
        others = {other: manifest for other, manifest in manifests.items() if other != name}
        for other, manifest in others.items():
            write(root / f"etc/tmpfiles.d/{other}.conf", manifest["files"].get("tmpfiles.d/00-nixos.conf", ""))
        addresses = {one: f"{NETWORK}.{number}" for number, one in enumerate((name, *others), 1)}
        write(root / "etc/hosts", "127.0.0.1 localhost\n" + "".join(f"{at} {one}\n" for one, at in addresses.items()))
        write(root / "etc/nftables.conf", laid.firewall_text(manifests[name]["settings"]))
        for one, interface, settings in interfaces(manifests):
            write(root / OPT / f"{one}-{interface}.conf", laid.wireguard_text(settings))
        _stand_in(root, network_commands(name, manifests, addresses), manifests[name]["settings"])
        _run("mkfs.ext4", "-q", "-d", str(root), str(image), f"{IMAGE_MIB}M")
    return image


def interfaces(manifests: Mapping[str, Manifest]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each machine's WireGuard interfaces: the machine, the interface, and its settings."""
    for one, manifest in manifests.items():
        for interface, settings in (manifest["settings"].get("networking.wireguard.interfaces") or {}).items():
            yield one, interface, settings


def network_commands(name: str, manifests: Mapping[str, Manifest], addresses: Mapping[str, str]) -> list[list[str]]:
    """Commands that raise the network: the firewall first, a wire to each other machine's namespace, then WireGuard."""
    commands = [["nft", "-f", "/etc/nftables.conf"]]
    for other in (one for one in manifests if one != name):
        wire = ["ip", "link", "add", f"to-{other}"[:15], "type", "veth", "peer", "name", "eth1", "netns", other]
        commands += [["ip", "netns", "add", other], wire]
        for namespace, device, address in (
            ([], f"to-{other}"[:15], addresses[name]),
            (["-n", other], "eth1", addresses[other]),
        ):
            commands += [["ip", *namespace, "address", "add", f"{address}/24", "dev", device]]
            commands += [["ip", *namespace, "link", "set", device, "up"]]
        commands += [["ip", "-n", other, "link", "set", "lo", "up"]]
    for one, interface, settings in interfaces(manifests):
        within, inside = ([], []) if one == name else (["-n", one], ["ip", "netns", "exec", one])
        commands += [
            ["ip", *within, "link", "add", interface, "type", "wireguard"],
            [*inside, "wg", "setconf", interface, f"/{OPT}/{one}-{interface}.conf"],
            [*inside, "wg", "set", interface, "private-key", settings["privateKeyFile"]],
            *(["ip", *within, "address", "add", ip, "dev", interface] for ip in settings["ips"]),
            ["ip", *within, "link", "set", interface, "up"],
        ]
    return commands


def _stand_in(root: Path, commands: list[list[str]], settings: Mapping[str, Any]) -> None:
    """Units in place of those that NixOS brings: the network, and a server where Grafana would be."""
    write(root / OPT / "agent.py", Path(__file__).with_name("agent.py").read_text())
    write(root / OPT / "network", "set -eu\n" + "".join(f"{shlex.join(command)}\n" for command in commands))
    early = "Type=oneshot\nRemainAfterExit=true\n"
    units = {
        # Last: who hears from it knows that the machine has booted.
        "hlhft-test-agent": ("After=multi-user.target\n", f"ExecStart=/usr/bin/python3 /{OPT}/agent.py\n"),
        "hlhft-test-network": ("Before=network.target\n", f"{early}ExecStart=/bin/sh /{OPT}/network\n"),
    }
    if settings.get("services.grafana.enable"):
        port = settings["services.grafana.settings"]["server"]["http_port"]
        # On every address, which Grafana itself would not do: the firewall alone has to keep it.
        units["grafana"] = ("", f"ExecStart=/usr/bin/python3 -m http.server --directory /var/empty {port}\n")
        (root / "var/empty").mkdir(exist_ok=True)
    # Disks and interfaces are there before any service, as NixOS's initial ramdisk sees to.
    write(root / "etc/modules-load.d/hlhft-test.conf", "virtio_blk\nvirtio_net\n")
    for name in CHORES:
        (root / f"etc/systemd/system/{name}").symlink_to("/dev/null")
    for name, (unit, service) in units.items():
        write(root / f"etc/systemd/system/{name}.service", f"[Unit]\n{unit}[Service]\n{service}")
        wanted = root / f"etc/systemd/system/multi-user.target.wants/{name}.service"
        wanted.parent.mkdir(parents=True, exist_ok=True)
        wanted.symlink_to(f"../{name}.service")
    # All of /usr is as Debian's packages left it: no index of it needs to be made anew.
    for name in ("etc/.updated", "var/.updated"):
        write(root / name, "")


def _run(*command: str) -> None:
    # The machine boots without an initial ramdisk.
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=MAKING_S, check=False,
        env=os.environ | {"INITRD": "No"},
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(command[:2])} ended with {done.returncode}: {done.stderr[-2000:]}"
