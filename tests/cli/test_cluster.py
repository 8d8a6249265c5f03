"""Where tasks run and where results lie: what does not go together is refused before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from hlhft.cli import cluster
from hlhft.extra import MissingExtra
from hlhft.live.private_files import PrivateFileError
from hlhft.scale.backends import InProcess
from hlhft.scale.dask_backend import ClusterError
from hlhft.scale.running import Failure
from hlhft.scale.storage import StorageError
from tests.scale.made import busy


def said(**options: Any) -> dict[str, Any]:
    return {**dict.fromkeys(("on", "store", "tls_ca", "tls_cert", "tls_key")), **options}


TLS = {"tls_ca": Path("ca.pem"), "tls_cert": Path("cert.pem"), "tls_key": Path("key.pem")}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"on": "moon"}, "--on moon is nowhere"),
        ({"on": "http://host:1", "store": "x"}, "--on http://host:1 is nowhere"),
        ({"on": "tcp://host:1"}, "--on tcp://host:1 needs --store"),
        ({"on": "tls://host:1", "store": "x"}, "--tls-ca, --tls-cert and --tls-key go together"),
        ({"on": "tls://host:1", "store": "x", "tls_ca": Path("ca")}, "go together"),
        ({"on": "tcp://host:1", "store": "x", **TLS}, "and with --on tls://HOST:PORT"),
        ({**TLS}, "and with --on tls://HOST:PORT"),
    ],
)
def test_what_does_not_go_together_is_wrong_use(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(click.UsageError, match=sentence):
        cluster.check(said(**options))


def test_what_goes_together_is_taken() -> None:
    for options in ({}, {"on": "local"}, {"on": "tcp://h:1", "store": "x"}, {"on": "tls://h:1", "store": "x", **TLS}):
        cluster.check(said(**options))


def test_without_another_word_it_is_threads_and_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HLHFT_CACHE", str(tmp_path))
    old = tmp_path / "results" / "blobs" / "old"
    old.parent.mkdir(parents=True)
    old.write_bytes(bytes(100))
    monkeypatch.setattr(cluster, "STORE_BYTES_MAX", 50)
    with cluster.opened(said(), jobs=3) as (backend, storage):
        assert isinstance(backend, InProcess) and backend.slots() == 3
        assert storage.url == str(tmp_path / "results") and not old.exists()
    with cluster.opened(said(store=str(tmp_path / "mine")), jobs=1) as (_, storage):
        assert storage.url == str(tmp_path / "mine")


def test_a_scheduler_that_is_not_there_and_a_store_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hlhft.scale import dask_backend

    monkeypatch.setattr(dask_backend, "CONNECT_SECONDS_MAX", 1)
    options = said(on="tcp://127.0.0.1:1", store=str(tmp_path))
    with (
        pytest.raises(ClusterError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1"),
        cluster.opened(options, jobs=1),
    ):
        raise AssertionError
    with pytest.raises(StorageError), cluster.opened(said(store="nowhere://x"), jobs=1):
        raise AssertionError


def test_packages_that_are_missing_are_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hlhft import extra

    monkeypatch.setattr(extra.importlib.util, "find_spec", lambda name: None)
    sentence, options = "a store of results needs the Python package fsspec", said(store=str(tmp_path))
    with pytest.raises(MissingExtra, match=sentence), cluster.opened(options, jobs=1):
        raise AssertionError


def test_what_is_told_is_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    cluster.say_remark("worker x is gone")
    key = busy().key
    cluster.say_failure(Failure(place=0, task=busy(), error="ValueError: no", log="trace", attempts=3))
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.splitlines() == [
        "hlhft: worker x is gone",
        (
            f"hlhft: task {key[:12]} of hlhft.scale.probe:busy failed after 3 attempts: ValueError: no "
            f"(its log: failures/{key[:2]}/{key} in the store)"
        ),
    ]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("key")
    key.chmod(0o644)
    options = said(on="tls://127.0.0.1:1", store=str(tmp_path), **{**TLS, "tls_key": key})
    with pytest.raises(PrivateFileError, match="chmod 600"), cluster.opened(options, jobs=1):
        raise AssertionError
