"""The archives as a paying reader meets them, on a real server: complete, verified, resumed, retried, refused."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from hlhft.data.mining.errors import MiningError, ObjectError
from hlhft.data.mining.keys import ARCHIVE, BUCKETS, NODE, Listed
from hlhft.data.mining.store import ATTEMPTS_MAX, BACKOFF_S, BACKOFF_S_MAX, Changed, Stopped, Store
from tests.data.mining.s3_server import Order, Server

KEY = "market_data/20260401/7/l2Book/BTC.lz4"
OBJECT = (ARCHIVE.name, KEY)
CONTENT = random.Random(1).randbytes(3_000_000)
GET = f"GET /{ARCHIVE.name}/{KEY}"


class Pauses:
    """Time that only counts: what was waited for, and after how many calls everything is to stop."""

    def __init__(self, stop_after: int = -1) -> None:
        self.waited_s: list[float] = []
        self._left = stop_after

    def __call__(self, seconds: float) -> bool:
        if seconds:
            self.waited_s.append(seconds)
        self._left -= 1
        return self._left == 0


# Loading what boto3 knows of AWS takes longer than most of these tests.
SESSION = boto3.session.Session(aws_access_key_id="reader", aws_secret_access_key="a-secret-of-the-reader")


def store(
    server: Server | str,
    pauses: Pauses | None = None,
    draw: Callable[[], float] = lambda: 1.0,
    session: boto3.session.Session | None = SESSION,
) -> Store:
    url = server if isinstance(server, str) else server.url
    return Store(url, pause=pauses or Pauses(), draw=draw, session=session)


@pytest.fixture
def listed(s3: Server) -> Listed:
    s3.put({OBJECT: CONTENT})
    (one,) = store(s3).list(ARCHIVE, KEY)
    s3.forget()
    return one


def test_the_gate_refuses_who_does_not_pay(s3: Server) -> None:
    import urllib.error
    import urllib.request

    for bucket in BUCKETS:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{s3.url}/{bucket.name}?list-type=2", timeout=10)


def test_a_listing_has_every_object_in_order_whatever_the_pages(s3: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"asset_ctxs/{number:04d}" for number in range(4)]
    s3.put({(ARCHIVE.name, key): b"x" for key in keys})
    s3.put({(NODE.name, "elsewhere"): b"x"})
    for page_keys, requests in ((1000, 1), (4, 1), (3, 2), (1, 4)):
        monkeypatch.setattr("hlhft.data.mining.store.PAGE_KEYS", page_keys)
        s3.forget()
        assert [one.key for one in store(s3).list(ARCHIVE, "asset_ctxs/")] == keys
        assert s3.counts()["GET LIST"] == requests
    assert store(s3).list(ARCHIVE, "nothing") == []
    assert [one.bucket for one in store(s3).list(NODE, "else")] == [NODE]


def test_a_download_is_the_object(s3: Server, listed: Listed, tmp_path: Path) -> None:
    heard: list[int] = []
    store(s3).download(listed, tmp_path / "it", fetched=heard.append)
    assert (tmp_path / "it").read_bytes() == CONTENT
    assert sum(heard) == listed.size_bytes == len(CONTENT)
    assert list(tmp_path.iterdir()) == [tmp_path / "it"]
    assert s3.counts()[GET] == 1


def test_an_empty_object_is_one(s3: Server, tmp_path: Path) -> None:
    s3.put({OBJECT: b""})
    (empty,) = store(s3).list(ARCHIVE, KEY)
    store(s3).download(empty, tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == b""


@pytest.mark.parametrize("cut_bytes", [0, 1, 1_000_000, len(CONTENT) - 1])
def test_a_broken_off_download_goes_on_where_it_was(s3: Server, listed: Listed, tmp_path: Path, cut_bytes: int) -> None:
    s3.orders(Order(GET, cut_bytes=cut_bytes))
    pauses = Pauses()
    heard: list[int] = []
    store(s3, pauses).download(listed, tmp_path / "it", fetched=heard.append)
    assert (tmp_path / "it").read_bytes() == CONTENT
    assert sum(heard) == len(CONTENT)
    assert (s3.counts()[GET], len(pauses.waited_s)) == (2, 1)


def test_what_an_earlier_run_left_is_not_fetched_again(s3: Server, listed: Listed, tmp_path: Path) -> None:
    (tmp_path / "it.part").write_bytes(CONTENT[:-10])
    heard: list[int] = []
    store(s3).download(listed, tmp_path / "it", fetched=heard.append)
    assert heard == [len(CONTENT) - 10, 10]
    (tmp_path / "it").rename(tmp_path / "whole")
    s3.forget()
    store(s3).download(listed, tmp_path / "whole")
    assert s3.counts()[GET] == 0
    assert (tmp_path / "whole").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"?" * 100, CONTENT + b"more", b"?" * len(CONTENT)])
def test_what_is_not_the_object_is_fetched_anew(s3: Server, listed: Listed, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "it.part").write_bytes(left)
    heard: list[int] = []
    store(s3).download(listed, tmp_path / "it", fetched=heard.append)
    assert (tmp_path / "it").read_bytes() == CONTENT
    assert sum(heard) == len(CONTENT)


def test_content_that_never_fits_its_checksum_is_the_objects_fault(s3: Server, listed: Listed, tmp_path: Path) -> None:
    class Lying(Store):
        """As one whose bytes are damaged on the way."""

        def _fetch(self, wanted: Listed, part: Path, begin: int, fetched: Callable[[int], None]) -> None:
            part.write_bytes(b"?" * wanted.size_bytes)

    with pytest.raises(ObjectError, match="does not fit its checksum, twice"):
        Lying(s3.url, pause=Pauses(), session=SESSION).download(listed, tmp_path / "it")
    assert list(tmp_path.iterdir()) == []


PIECES = random.Random(2).randbytes((5 << 20) + 1000)


@pytest.fixture
def pieces(s3: Server) -> Listed:
    """An object that was sent in two pieces."""
    s3.put_in_pieces(*OBJECT, PIECES)
    (one,) = store(s3).list(ARCHIVE, KEY)
    assert one.etag.endswith("-2")
    s3.forget()
    return one


def test_an_object_sent_in_pieces_is_verified_and_gone_on_with(s3: Server, pieces: Listed, tmp_path: Path) -> None:
    (tmp_path / "it.part").write_bytes(PIECES[:-10])
    heard: list[int] = []
    store(s3).download(pieces, tmp_path / "it", fetched=heard.append)
    assert (tmp_path / "it").read_bytes() == PIECES
    assert heard == [len(PIECES) - 10, 10]


def test_where_nothing_tells_what_an_earlier_run_left_is_not_trusted(
    s3: Server, pieces: Listed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hlhft.data.mining.store.PIECE_BYTES", (6 << 20, 64 << 20))
    (tmp_path / "it.part").write_bytes(b"?" * 100)
    heard: list[int] = []
    store(s3).download(pieces, tmp_path / "it", fetched=heard.append)
    assert (tmp_path / "it").read_bytes() == PIECES
    assert sum(heard) == len(PIECES)
    assert s3.counts()[GET] == 2  # the rest of what was left, then all of it


def test_what_was_left_of_an_object_sent_in_pieces_is_fetched_anew_when_it_is_wrong(
    s3: Server, pieces: Listed, tmp_path: Path
) -> None:
    (tmp_path / "it.part").write_bytes(b"?" * 100 + PIECES[100:])
    store(s3).download(pieces, tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == PIECES


def test_a_busy_server_is_asked_again_after_longer_and_longer(s3: Server, listed: Listed, tmp_path: Path) -> None:
    s3.orders(
        Order("list-type", times=5, status=503, code="SlowDown"), Order(GET, times=2, status=500, code="Internal")
    )
    pauses = Pauses()
    assert store(s3, pauses).list(ARCHIVE, KEY) == [listed]
    assert pauses.waited_s == [BACKOFF_S * 2**count for count in range(5)]
    assert max(pauses.waited_s) <= BACKOFF_S_MAX
    store(s3).download(listed, tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == CONTENT


def test_waiting_is_drawn_at_random_below_its_bound(s3: Server) -> None:
    s3.orders(Order("list-type", times=3, status=503, code="SlowDown"))
    pauses = Pauses()
    store(s3, pauses, draw=iter([0.5, 0.25, 0.0]).__next__).list(ARCHIVE, KEY)
    assert pauses.waited_s == [0.5 * BACKOFF_S, 0.25 * 2 * BACKOFF_S]


def test_asking_ends_after_so_many_times(s3: Server, listed: Listed, tmp_path: Path) -> None:
    s3.orders(Order("GET /hyper", times=-1, status=503, code="SlowDown"))
    with pytest.raises(MiningError, match=f"S3 answered SlowDown {ATTEMPTS_MAX} times, try again later"):
        store(s3).list(ARCHIVE, KEY)
    assert s3.counts()["GET LIST"] == ATTEMPTS_MAX
    with pytest.raises(ObjectError, match=f"broke off {ATTEMPTS_MAX} times, 0 of {len(CONTENT)} bytes came"):
        store(s3).download(listed, tmp_path / "it")
    assert s3.counts()[GET] == ATTEMPTS_MAX


def test_a_server_that_falls_silent_is_left_and_asked_again(
    s3: Server, listed: Listed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hlhft.data.mining.store.READ_S", 0.2)
    s3.orders(Order(GET, cut_bytes=1_000_000, stall=True))
    pauses = Pauses()
    store(s3, pauses).download(listed, tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == CONTENT
    assert (s3.counts()[GET], len(pauses.waited_s)) == (2, 1)


def test_a_download_that_gets_on_is_not_given_up(s3: Server, listed: Listed, tmp_path: Path) -> None:
    """Each piece is a request: more of them than attempts, while a mebibyte comes now and then."""
    s3.orders(Order(GET, times=ATTEMPTS_MAX + 1, cut_bytes=300_000))
    store(s3).download(listed, tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == CONTENT
    assert s3.counts()[GET] > ATTEMPTS_MAX


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "AccessDenied", "refused payment or you have no right to read it"),
        (403, "SomethingNew", "refused payment or you have no right to read it"),
        (404, "NoSuchBucket", "there is no such bucket here: check --endpoint-url"),
        (403, "RequestTimeTooSkewed", "clock is more than 15 minutes wrong"),
        (403, "InvalidAccessKeyId", "does not know the access key"),
        (403, "SignatureDoesNotMatch", "the secret key does not fit"),
        (400, "ExpiredToken", "have expired: renew them"),
        (301, "PermanentRedirect", "lies in another region"),
    ],
)
def test_a_refusal_is_one_sentence_and_never_tried_again(
    s3: Server, listed: Listed, tmp_path: Path, status: int, code: str, says: str
) -> None:
    s3.orders(Order("GET /hyper", times=-1, status=status, code=code))
    for ask in (
        lambda: store(s3).list(ARCHIVE, KEY),
        lambda: store(s3).download(listed, tmp_path / "it"),
    ):
        s3.forget()
        with pytest.raises(MiningError, match=says) as raised:
            ask()
        assert sum(count for name, count in s3.counts().items() if name.startswith("GET")) == 1
        assert "a-secret" not in str(raised.value) and "reader" not in str(raised.value)


def test_an_object_that_was_replaced_or_removed_is_known(s3: Server, listed: Listed, tmp_path: Path) -> None:
    s3.put({OBJECT: b"another"})
    with pytest.raises(Changed):
        store(s3).download(listed, tmp_path / "it")
    s3.empty()
    with pytest.raises(ObjectError, match="it was listed and is gone"):
        store(s3).download(listed, tmp_path / "it")
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_to_stop_stops_between_two_pieces_and_before_waiting(
    s3: Server, listed: Listed, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        store(s3, Pauses(stop_after=2)).download(listed, tmp_path / "it")
    assert 0 < (tmp_path / "it.part").stat().st_size < len(CONTENT)
    s3.orders(Order("list-type", times=-1, status=503))
    with pytest.raises(Stopped):
        store(s3, Pauses(stop_after=2)).list(ARCHIVE, KEY)


def test_a_server_that_is_not_there_is_said(s3: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(MiningError, match=f"cannot be reached, tried {ATTEMPTS_MAX} times: check the network"):
            store(url).list(ARCHIVE, KEY)


def test_an_address_that_is_none_is_said(s3: Server) -> None:
    with pytest.raises(MiningError, match="--endpoint-url"):
        store("nonsense")


def test_no_credentials_are_said_before_anything_is_asked(
    s3: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MiningError, match="no AWS credentials were found: set AWS_ACCESS_KEY_ID"):
        store(s3, session=None)
    assert not s3.counts()


@pytest.mark.parametrize("profile", ["absent", "half"])
def test_a_profile_that_is_none_is_said(
    s3: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: str
) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        "[half]\naws_access_key_id = reader\n[whole]\naws_access_key_id = reader\naws_secret_access_key = x\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "whole")
    assert store(s3, session=None).list(ARCHIVE, KEY) == []
    monkeypatch.setenv("AWS_PROFILE", profile)
    with pytest.raises(MiningError, match="the AWS credentials cannot be used"):
        store(s3, session=None)
