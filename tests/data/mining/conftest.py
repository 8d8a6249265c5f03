"""One S3 server for the tests of a module, emptied before each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.data.mining.s3_server import Server, serving


@pytest.fixture(scope="session")
def s3_process() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def s3(s3_process: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server with empty buckets, and the credentials of somebody who pays."""
    s3_process.empty()
    for name in (
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_ENDPOINT_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-reader")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return s3_process
