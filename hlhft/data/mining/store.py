"""S3 as a reader who pays sees it: listings and verified downloads, retried within a bound, every failure a sentence.

Credentials come the usual ways of AWS: environment, profile, or the role of the machine. Nothing of them is ever in a
sentence of ours. A refusal (403) is never tried again: it may have cost, and asking once more does not change it.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import boto3
from botocore import exceptions as faults
from botocore.config import Config

from hlhft.data.mining.errors import MiningError, ObjectError
from hlhft.data.mining.keys import BUCKETS, Bucket, Listed

ATTEMPTS_MAX = 9  # of one request, or of one download since it last got on by PROGRESS_BYTES
PROGRESS_BYTES = 1 << 20
BACKOFF_S = 0.2  # before the second attempt at most; doubles with each one
BACKOFF_S_MAX = 30.0
CONNECTIONS_MAX = 64
# What programs send objects in pieces of: the smallest that S3 takes, AWS's own tools, boto's and others' defaults.
PIECE_BYTES = tuple(count << 20 for count in (5, 8, 10, 15, 16, 25, 32, 50, 64, 100, 128))
CHUNK_BYTES = 256 * 1024
CONNECT_S, READ_S = 10, 30
PAGE_KEYS = 1000  # of one listing, the most that S3 gives
LISTED_MAX = 1_000_000  # keys under one prefix

_PAYER = "requester"
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_PIECES = re.compile(r"([0-9a-f]{32})-([1-9][0-9]{0,4})\Z")
_TRANSIENT = (
    faults.ConnectionError,
    faults.HTTPClientError,
    faults.IncompleteReadError,
    faults.ResponseStreamingError,
    ConnectionError,
)
_LASTING = (faults.SSLError, faults.ProxyConnectionError)
_BUSY_CODES = frozenset({"SlowDown", "InternalError", "RequestTimeout", "ServiceUnavailable", "Throttling", "503"})

# What to say of the codes that S3 refuses with; {where} is the bucket or the object.
_REFUSALS: Mapping[str, str] = {
    "AccessDenied": "{where}: S3 refused payment or you have no right to read it: your credentials must allow "
    "s3:GetObject and s3:ListBucket there, and the account must be able to pay (requester pays)",
    "403": "{where}: S3 refused payment or you have no right to read it: your credentials must allow "
    "s3:GetObject and s3:ListBucket there, and the account must be able to pay (requester pays)",
    "NoSuchBucket": "{where}: there is no such bucket here: check --endpoint-url, or leave it out for AWS",
    "404": "{where}: there is no such bucket here: check --endpoint-url, or leave it out for AWS",
    "RequestTimeTooSkewed": "{where}: this machine's clock is more than 15 minutes wrong: set it (timedatectl)",
    "InvalidAccessKeyId": "{where}: S3 does not know the access key: check AWS_ACCESS_KEY_ID or the profile",
    "SignatureDoesNotMatch": "{where}: the secret key does not fit the access key: check AWS_SECRET_ACCESS_KEY or the "
    "profile",
    "ExpiredToken": "{where}: the session's credentials have expired: renew them (aws sso login) and run it again",
    "InvalidToken": "{where}: the session token is none: check AWS_SESSION_TOKEN or the profile",
    "PermanentRedirect": "{where}: the bucket lies in another region than this program knows: check --endpoint-url",
    "AuthorizationHeaderMalformed": "{where}: the bucket lies in another region than this program knows: check "
    "--endpoint-url",
}
_NO_CREDENTIALS = (
    "no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run it on a "
    "machine with a role; the archives' readers pay, so nobody reads them without"
)

Answer = TypeVar("Answer")
Pause = Callable[[float], bool]  # waits so many seconds; true when everything is to stop


class Changed(Exception):
    """The object has another content than the one that was listed."""


class Stopped(Exception):
    """Somebody asked for the end while this was under way."""


class Store:
    """The archives. Safe to use from several threads; requests pass `RequestPayer=requester` and are counted."""

    def __init__(
        self,
        endpoint_url: str | None = None,
        *,
        pause: Pause,
        draw: Callable[[], float] = random.random,
        session: boto3.session.Session | None = None,
    ) -> None:
        """`pause` waits between attempts, `draw` gives jitter in [0, 1), `session` has the credentials, else found.

        Raises MiningError for a profile or an endpoint that is none.
        """
        self._endpoint_url = endpoint_url
        self._pause = pause
        self._draw = draw
        self._clients: dict[str, Any] = {}
        self._lock = Lock()  # botocore does not allow clients to be made in several threads at once
        try:
            self._session = boto3.session.Session() if session is None else session
            if self._session.get_credentials() is None:
                raise MiningError(_NO_CREDENTIALS)
            self._client(BUCKETS[0])
        except (faults.BotoCoreError, ValueError) as error:
            raise _refusal(error, "S3") from None

    def _client(self, bucket: Bucket) -> Any:
        """The client of the bucket's region."""
        with self._lock:
            if bucket.region not in self._clients:
                self._clients[bucket.region] = self._session.client(
                    "s3",
                    region_name=bucket.region,
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        connect_timeout=CONNECT_S,
                        read_timeout=READ_S,
                        max_pool_connections=CONNECTIONS_MAX,
                        retries={"total_max_attempts": 1},  # attempts are counted here
                        s3={"addressing_style": "path"} if self._endpoint_url else {},
                    ),
                )
            return self._clients[bucket.region]

    def list(self, bucket: Bucket, prefix: str) -> list[Listed]:
        """Every object whose key begins with `prefix`, by key; none is no error. Raises MiningError."""
        found: list[Listed] = []
        while True:
            page = self._asked(f"s3://{bucket.name}/{prefix}", partial(self._page, bucket, prefix, found))
            contents = page.get("Contents", [])
            found.extend(Listed(bucket, one["Key"], int(one["Size"]), one["ETag"].strip('"')) for one in contents)
            if not page.get("IsTruncated") or not contents:
                return found
            if len(found) >= LISTED_MAX:
                raise MiningError(
                    f"s3://{bucket.name}/{prefix}: it lists more than {LISTED_MAX} objects: this is not it"
                )

    def _page(self, bucket: Bucket, prefix: str, before: Sequence[Listed]) -> Any:
        """The next objects after those that came before."""
        return self._client(bucket).list_objects_v2(
            Bucket=bucket.name,
            Prefix=prefix,
            MaxKeys=PAGE_KEYS,
            RequestPayer=_PAYER,
            **({"StartAfter": before[-1].key} if before else {}),
        )

    def _asked(self, where: str, ask: Callable[[], Answer]) -> Answer:
        """The answer of one request, tried ATTEMPTS_MAX times. Raises MiningError, Stopped."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return ask()
            except (faults.BotoCoreError, faults.ClientError, ConnectionError) as error:
                if not _is_transient(error) or attempt == ATTEMPTS_MAX:
                    raise _refusal(error, where) from None
            self._wait(attempt)
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, attempt: int) -> None:
        """Before the next attempt: up to twice as long each time, at random, so that many do not come back at once."""
        if self._pause(self._draw() * min(BACKOFF_S_MAX, BACKOFF_S * 2 ** (attempt - 1))):
            raise Stopped

    def download(self, wanted: Listed, path: Path, *, fetched: Callable[[int], None] = lambda count: None) -> None:
        """The whole object at `path`, of the size that was listed and, where the ETag tells, of that content.

        What comes is kept in `path`.part and gone on with after an interruption. `fetched` hears of bytes as they come.
        Raises Changed when the content is not the listed one any more, ObjectError when this object cannot be had,
        MiningError when none can, OSError when it cannot be written, Stopped.
        """
        part = path.with_name(f"{path.name}.part")
        if path.is_file():
            os.replace(path, part)  # of an earlier run; it is checked like any other
        resumed = part.is_file()
        for last in (False, True):
            self._complete(wanted, part, fetched)
            fits = _fits(part, wanted.etag)
            # What an earlier run left may be what a power cut made of it; what this one fetched came as it was sent.
            if fits or (fits is None and not resumed):
                os.replace(part, path)
                return
            fetched(-part.stat().st_size)
            part.unlink()
            resumed = False
            if last:
                raise ObjectError(f"{wanted.url}: its content does not fit its checksum, twice: try again later")

    def _complete(self, wanted: Listed, part: Path, fetched: Callable[[int], None]) -> None:
        """Fetches what `part` lacks, in as many requests as it takes."""
        attempt, have = 1, _size(part)
        fetched(have)
        mark = have
        if have > wanted.size_bytes:
            part.unlink()
            fetched(-have)
            have = mark = 0
        if wanted.size_bytes == 0:
            part.touch()
        while have < wanted.size_bytes:
            try:
                self._fetch(wanted, part, have, fetched)
                error: Exception | None = None
            except (faults.BotoCoreError, faults.ClientError, ConnectionError) as fault:
                if not _is_transient(fault):
                    raise _object_refusal(fault, wanted) from None
                error = fault
            have = _size(part)
            if have - mark >= PROGRESS_BYTES:
                attempt, mark = 1, have
            if have < wanted.size_bytes:
                if attempt == ATTEMPTS_MAX:
                    raise _given_up(error, wanted, have)
                self._wait(attempt)
                attempt += 1

    def _fetch(self, wanted: Listed, part: Path, begin: int, fetched: Callable[[int], None]) -> None:
        """One request for everything from `begin`, appended to `part` as it comes."""
        answer = self._client(wanted.bucket).get_object(
            Bucket=wanted.bucket.name,
            Key=wanted.key,
            RequestPayer=_PAYER,
            IfMatch=f'"{wanted.etag}"',
            **({"Range": f"bytes={begin}-"} if begin else {}),
        )
        # As its own context manager the body would be urllib3's, with other errors and no check of its length.
        with closing(answer["Body"]) as body, part.open("ab") as file:
            left = wanted.size_bytes - begin
            while left and (piece := body.read(min(CHUNK_BYTES, left))):
                file.write(piece)
                left -= len(piece)
                fetched(len(piece))
                if self._pause(0):
                    raise Stopped


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _fits(path: Path, etag: str) -> bool | None:
    """Whether the file is what the ETag is of; None where that cannot be known.

    An object sent in one piece has its MD5 for an ETag; one sent in N, the MD5 of their MD5s and -N, which says nothing
    of their size: those that people use are tried.
    """
    if _MD5.match(etag):
        return _md5s(path, max(1, _size(path)))[0].hex() == etag
    found = _PIECES.match(etag)
    if found is None:
        return None
    for piece_bytes in PIECE_BYTES:
        if -(-_size(path) // piece_bytes) == int(found[2]):
            digests = _md5s(path, piece_bytes)
            if hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest() == found[1]:
                return True
    return None


def _md5s(path: Path, piece_bytes: int) -> list[bytes]:
    """The MD5 of each piece of the file; of one without content, that of nothing."""
    digests = []
    with path.open("rb") as file:
        left = max(1, _size(path))
        while left > 0:
            digest, until = hashlib.md5(usedforsecurity=False), max(0, left - piece_bytes)
            while left > until:
                piece = file.read(min(CHUNK_BYTES, left - until))
                digest.update(piece)
                left -= len(piece) or left
            digests.append(digest.digest())
    return digests


def _code_of(error: Exception) -> tuple[str, int]:
    """S3's code and the HTTP status of an answer; "" and 0 where there was none."""
    if not isinstance(error, faults.ClientError):
        return "", 0
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(error.response.get("Error", {}).get("Code", "")), int(status)


def _is_transient(error: Exception) -> bool:
    """Whether the same request may do better later. Unknown failures do not."""
    if isinstance(error, faults.ClientError):
        code, status = _code_of(error)
        return status >= 500 or status == 429 or code in _BUSY_CODES
    return isinstance(error, _TRANSIENT) and not isinstance(error, _LASTING)


def _refusal(error: Exception, where: str) -> MiningError:
    """The sentence for a failure that ends everything."""
    code, status = _code_of(error)
    if code in _REFUSALS:
        return MiningError(_REFUSALS[code].format(where=where))
    if isinstance(error, faults.ClientError):
        if status in (403, 404):
            return MiningError(_REFUSALS[str(status)].format(where=where))
        return MiningError(f"{where}: S3 answered {code or status} {ATTEMPTS_MAX} times, try again later")
    if isinstance(error, faults.NoCredentialsError):
        return MiningError(_NO_CREDENTIALS)
    if isinstance(error, faults.ProfileNotFound | faults.PartialCredentialsError | faults.CredentialRetrievalError):
        return MiningError(f"the AWS credentials cannot be used ({error}): correct the profile or the environment")
    if isinstance(error, faults.SSLError):
        return MiningError(f"{where}: the server's certificate is not trusted: check the clock and --endpoint-url")
    if isinstance(error, (*_TRANSIENT, *_LASTING)):
        return MiningError(f"{where}: S3 cannot be reached, tried {ATTEMPTS_MAX} times: check the network")
    return MiningError(f"{where}: S3 cannot be used ({error}): check the credentials and --endpoint-url")


def _object_refusal(error: Exception, wanted: Listed) -> Exception:
    """What a refused download is: the object's own fault, a change, or everybody's."""
    code, status = _code_of(error)
    if status == 412 or code == "PreconditionFailed":
        return Changed(wanted.url)
    if code == "NoSuchKey" or (status == 404 and code != "NoSuchBucket"):
        return ObjectError(f"{wanted.url}: it was listed and is gone, run it again")
    return _refusal(error, wanted.url)


def _given_up(error: Exception | None, wanted: Listed, have: int) -> Exception:
    """What it is when a download got no further in ATTEMPTS_MAX attempts."""
    if isinstance(error, faults.EndpointConnectionError | faults.ConnectTimeoutError):
        return _refusal(error, wanted.url)
    return ObjectError(
        f"{wanted.url}: the download broke off {ATTEMPTS_MAX} times, {have} of {wanted.size_bytes} bytes came, "
        "run it again to go on from there"
    )
