"""Work of commands that is one task after another, or spread where --on says; the result is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli import cluster
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import progress

if TYPE_CHECKING:
    from hlhft.scale.backends import Backend
    from hlhft.scale.running import Failure, Ran
    from hlhft.scale.storage import Storage
    from hlhft.scale.task import Task

JOBS_MAX = 256
NAMES = ("on", "store", "tls_ca", "tls_cert", "tls_key")


def spread(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds to a command the options of a cluster, and --jobs for this machine's processes."""
    jobs = click.option(
        "--jobs", type=click.IntRange(1, JOBS_MAX), metavar="N",
        help="How many tasks run at a time with --on local or threads. Default: processors.",
    )  # fmt: skip
    return cluster.cluster_options(jobs(command))


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
                on_failure=cluster.say_failure if on_failure is None else on_failure,
                on_remark=cluster.say_remark,
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

    Raises as `hlhft.cli.cluster.opened`.
    """
    if all(options.get(name) is None for name in NAMES):
        if options.get("jobs") is not None:
            raise click.UsageError("--jobs is for --on local or --on threads: give one of them, or leave it out")
        yield None
        return
    from hlhft.data.mining.miner import jobs_by_default

    jobs = options.get("jobs") or jobs_by_default()
    with cluster.opened(options, jobs=jobs, models=models, default=cluster.LOCAL) as (backend, storage):
        yield Spread(backend, storage, hidden=hidden)
