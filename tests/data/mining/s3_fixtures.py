"""An S3 server for whatever test asks for it, one a session, emptied before each; `tests/conftest.py` names this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.data.mining.s3_server import Server


@pytest.fixture(scope="session")
def s3_process() -> Iterator[Server]:
    from tests.data.mining.s3_server import serving  # boto3 takes its time, and few tests need it

    with serving() as server:
        yield server


@pytest.fixture
def payer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials of somebody who pays, and nothing else that AWS could take from this machine."""
    for name in ("PROFILE", "SESSION_TOKEN", "CONFIG_FILE", "SHARED_CREDENTIALS_FILE", "ENDPOINT_URL"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-reader")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def s3(s3_process: Server, payer: None) -> Server:
    """The server with empty buckets, for a reader who pays."""
    s3_process.empty()
    return s3_process
