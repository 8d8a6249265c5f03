"""What commands that run on a cluster share: where tasks run, where inputs and results lie, what is told of both."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hlhft.scale.backends import Backend
    from hlhft.scale.dask_backend import Tls
    from hlhft.scale.running import Failure
    from hlhft.scale.storage import Storage

THREADS, LOCAL = "threads", "local"
STORE_BYTES_MAX = 8 * 1024**3  # of the store in the cache folder; the oldest goes first

_OPTIONS = (
    click.option(
        "--on",
        metavar="WHERE",
        help="threads of this process; local, processes of this machine; or a Dask scheduler at tcp://HOST:PORT or "
        "tls://HOST:PORT.",
    ),
    click.option(
        "--store",
        metavar="URL",
        help="Where inputs and results lie: a folder, on NFS too, or s3://BUCKET/PREFIX. Every worker must reach it; "
        "what is done there is not done again. Default on this machine: the cache folder.",
    ),
    click.option("--tls-ca", type=click.Path(path_type=Path), metavar="FILE", help="Who is trusted at tls://, in PEM."),
    click.option("--tls-cert", type=click.Path(path_type=Path), metavar="FILE", help="What we show there."),
    click.option("--tls-key", type=click.Path(path_type=Path), metavar="FILE", help="Its key, mode 0600."),
)


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --on, --store and the files of TLS to a command; its values are those of `opened`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check(options: Mapping[str, Any]) -> None:
    """Raises UsageError for what does not go together, before any work."""
    where, files = options["on"] or THREADS, [options[name] for name in ("tls_ca", "tls_cert", "tls_key")]
    if where not in (THREADS, LOCAL) and not where.startswith(("tcp://", "tls://")):
        raise click.UsageError(f"--on {where} is nowhere: give threads, local, tcp://HOST:PORT or tls://HOST:PORT")
    if where.startswith("tls://") != all(files) or (any(files) and not all(files)):
        raise click.UsageError("--tls-ca, --tls-cert and --tls-key go together, and with --on tls://HOST:PORT")
    if "://" in where and options["store"] is None:
        raise click.UsageError(f"--on {where} needs --store: a folder or s3://BUCKET/PREFIX that its workers reach")


@contextlib.contextmanager
def opened(
    options: Mapping[str, Any], *, jobs: int, models: bool = False, default: str = THREADS
) -> Iterator[tuple[Backend, Storage]]:
    """The back-end that --on names, `default` where it names none, and the store.

    `jobs` is how many threads or processes of this machine run tasks; `models` whether tasks need the packages for
    models. Raises UsageError, MissingExtra, StorageError, ClusterError, and PrivateFileError for a key that others may
    read.
    """
    from hlhft.extra import OF_CLUSTERS, need

    check(options)
    need("a store of results", "fsspec", how=OF_CLUSTERS)
    from hlhft.scale.backends import InProcess
    from hlhft.scale.storage import Storage

    where = options["on"] or default
    storage = Storage(options["store"]) if options["store"] is not None else _own_store()
    if where == THREADS:
        backend: Backend = InProcess(storage, jobs)
    else:
        from hlhft.scale import dask_backend

        if where == LOCAL:
            backend = dask_backend.local(jobs, storage, models=models)
        else:
            backend = dask_backend.connect(where, storage, tls=_tls(options), models=models)
    with backend:
        yield backend, storage


def _own_store() -> Storage:
    """The one in the cache folder, within its bound."""
    from hlhft.compiled import cache_root
    from hlhft.scale.storage import Storage, prune

    folder = cache_root() / "results"
    folder.mkdir(exist_ok=True)
    prune(folder, STORE_BYTES_MAX)
    return Storage(folder)


def _tls(options: Mapping[str, Any]) -> Tls | None:
    from hlhft.live.private_files import read_private
    from hlhft.scale.dask_backend import Tls

    if options["tls_ca"] is None:
        return None
    read_private(options["tls_key"])  # refused where others may read it
    return Tls(ca=options["tls_ca"], certificate=options["tls_cert"], key=options["tls_key"])


def say_remark(sentence: str) -> None:
    """Tells of the cluster on standard error, as of a worker that is not used."""
    click.echo(f"hlhft: {sentence}", err=True)


def say_failure(failure: Failure) -> None:
    """Tells on standard error that a task has failed for good, and where its log is."""
    key = failure.task.key
    click.echo(
        f"hlhft: task {key[:12]} of {failure.task.function} failed after {failure.attempts} attempts: {failure.error} "
        f"(its log: failures/{key[:2]}/{key} in the store)",
        err=True,
    )
