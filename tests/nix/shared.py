"""What all machines of a run stand on: this project installed, and what its units compile.

Each takes a while, and is made once for all processes of the run, by whichever comes first; the others wait.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nix.tree import alone, install_project, layered, tree

COMPILING = ("hlhft-exchange", "hlhft-engine")


class Shared:
    """What is shared, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def trees(self) -> tuple[Path, ...]:
        """What machines are layers above: the project, and the tree that is kept."""
        project = self.folder / "project"
        with alone(self.folder / "project.lock"):
            if not project.is_dir():
                making = self.folder / "making-project"
                with layered(tree(), making, is_kept=True) as root:
                    install_project(root)
                (making / "upper").rename(project)
        return project, tree()

    @contextlib.contextmanager
    def compiled(self, *roots: Path) -> Iterator[None]:
        """Lays what units compile into the trees of machines that are not up yet. Where nobody has compiled it, these
        do, as a host does at its first boot, and everybody else waits: by the end it has to be there, and is taken."""
        kept = self.folder / "compiled"
        with contextlib.ExitStack() as held:
            held.enter_context(alone(self.folder / "compiled.lock"))
            is_first = not kept.is_dir()
            if not is_first:
                for root in roots:
                    for unit in COMPILING:
                        shutil.copytree(kept / unit, root / "var/cache" / unit)
                held.close()
            yield
            if is_first:
                self._keep(kept, roots)

    def _keep(self, kept: Path, roots: tuple[Path, ...]) -> None:
        making = self.folder / "making-compiled"
        for unit in COMPILING:
            made = [root / "var/cache" / unit for root in roots if (root / "var/cache" / unit).is_dir()]
            assert made, f"{unit} ran on none of these machines"
            shutil.copytree(made[0], making / unit)
        making.rename(kept)


def shared_by(factory: pytest.TempPathFactory) -> Shared:
    """What the run shares whose process this is, as pytest-xdist gives each a folder in that of the run."""
    own = factory.getbasetemp()
    return Shared((own.parent if own.name.startswith("popen-") else own) / "machines")
