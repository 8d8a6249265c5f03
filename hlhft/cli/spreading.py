"""The options --on, --jobs and --store of commands whose work can be spread, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import progress

if TYPE_CHECKING:
    from hlhft.scale.backends import Backend
    from hlhft.scale.dask_backend import Tls
    from hlhft.scale.running import Failure, Ran
    from hlhft.scale.storage import Storage
    from hlhft.scale.task import Task

STORE = "runs/store"
JOBS_MAX = 256
NAMES = ("on", "jobs", "store", "tls_ca", "tls_cert", "tls_key")

_OPTIONS = (
    click.option(
        "--on", metavar="URL", help="Run it on the cluster of this scheduler: tcp://HOST:8786 or tls://HOST:8786."
    ),
    click.option(
        "--jobs", type=click.IntRange(1, JOBS_MAX), metavar="N",
        help="Run it in N processes of this machine.  [default: in this one]",
    ),
    click.option(
        "--store", metavar="URL",
        help=f"Where inputs and results of tasks are, for all: a folder or s3://BUCKET/PREFIX.  [default: {STORE}]",
    ),
    click.option("--tls-ca", type=click.Path(path_type=Path), metavar="FILE", help="Whom its hosts trust (PEM)."),
    click.option("--tls-cert", type=click.Path(path_type=Path), metavar="FILE", help="Our certificate for it (PEM)."),
    click.option("--tls-key", type=click.Path(path_type=Path), metavar="FILE", help="Its key (PEM, mode 0600)."),
)  # fmt: skip


def spread(*without: str) -> Callable[[Any], Any]:
    """Gives a command the options, but for those named."""

    def decorated(command: Any) -> Any:
        for option in reversed([one for one, name in zip(_OPTIONS, NAMES, strict=True) if name not in without]):
            command = option(command)
        return command

    return decorated


class Spread:
    """A back-end, its storage, and what a user sees of tasks on it."""

    def __init__(self, backend: Backend, storage: Storage, *, hidden: bool) -> None:
        self.backend, self.storage, self._hidden = backend, storage, hidden

    def run(
        self,
        what: str,
        tasks: Sequence[Task],
        *,
        retries_max: int | None = None,
        on_failure: Callable[[Failure], None] | None = None,
        may_fail: bool = False,
        keep: Callable[[Ran], None] | None = None,
    ) -> Ran:
        """All tasks, run; `keep` is given them first, also where not all are done.

        Raises TasksFailed where one failed for good, unless they `may_fail`, what the back-end raises, and CommandError
        when interrupted.
        """
        from hlhft.scale.running import RETRIES_MAX, run

        with progress(what, hidden=self._hidden) as update:
            ran = run(
                tasks,
                self.backend,
                self.storage,
                retries_max=RETRIES_MAX if retries_max is None else retries_max,
                progress=update,
                on_failure=on_failure,
                on_remark=lambda remark: click.echo(remark, err=True),
            )
        if keep is not None:
            keep(ran)
        if ran.interrupted:
            raise CommandError(
                f"interrupted: {len(ran.finished)} of {len(tasks)} tasks are done and kept in {self.storage.url}, run "
                "it again to go on",
                ExitCode.INTERRUPTED,
            )
        if not may_fail:
            ran.refuse_failures()
        return ran


@contextmanager
def spreading(options: dict[str, Any], *, models: bool, hidden: bool) -> Iterator[Spread | None]:
    """Where the options say that the work is done; None where they say nothing.

    Raises UsageError for options that do not go together, and as the back-ends and the storage do.
    """
    on, jobs, store = options.get("on"), options.get("jobs"), options.get("store")
    if on is None and jobs is None:
        if store is not None:
            raise click.UsageError("--store keeps what --on or --jobs spread: give one of them, or leave it out")
        yield None
        return
    if on is not None and jobs is not None:
        raise click.UsageError("give --on for a cluster's processes or --jobs for this machine's, not both")
    if on is not None and store is None:
        raise click.UsageError("--on needs --store URL, a folder or bucket that this machine and the workers share")
    tls = tls_of(options)
    if on is None and tls is not None:
        raise click.UsageError("--tls-ca, --tls-cert and --tls-key are for --on tls://HOST:PORT")
    from hlhft.scale import dask_backend
    from hlhft.scale.storage import Storage

    url = store if store is not None else STORE
    # Workers have other working directories, other hosts perhaps; a folder is named from the root.
    storage = Storage(url if "://" in url else Path(url).absolute())
    opened = (
        dask_backend.connect(on, storage, tls=tls, models=models)
        if on is not None
        else dask_backend.local(jobs or 1, storage, models=models)
    )
    with opened as backend:
        yield Spread(backend, storage, hidden=hidden)


def tls_of(options: Mapping[str, Any]) -> Tls | None:
    """The files of TLS, None where none is given. Raises UsageError for some of them, PrivateFileError for a key that
    others may read."""
    given: list[Any] = [options.get(name) for name in NAMES[3:]]
    if not any(given):
        return None
    if not all(given):
        raise click.UsageError("give --tls-ca, --tls-cert and --tls-key together, or none of them")
    from hlhft.live.private_files import read_private
    from hlhft.scale.dask_backend import Tls

    authority, certificate, key = given
    read_private(key)
    return Tls(ca=authority, certificate=certificate, key=key)
