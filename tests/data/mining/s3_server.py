"""A real S3 server in a process of its own: moto's, behind a gate that wants the reader to pay and can misbehave.

python -m tests.data.mining.s3_server      serves on a free port of the loopback and prints its number

The gate answers a request to a bucket of the archives without `x-amz-request-payer: requester`, and one to PRIVATE that
nobody signed, as S3 does; it counts requests and the bytes of bodies, and obeys orders given to /_gate: see `Order`. It
ends when its standard input does, so it outlives nobody.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

BUCKETS = ("hyperliquid-archive", "hl-mainnet-node-data")
PRIVATE = "private"  # no archive: whoever signs may read it
ROOT = Path(__file__).resolve().parents[3]
Environ = dict[str, Any]


@dataclass
class Order:
    """What to do to requests whose "METHOD /path?query" matches."""

    match: str
    times: int = 1  # how often, -1 for ever
    skip: int = 0  # matching requests to let pass before
    status: int = 0  # answer this and `code`, instead of asking moto
    code: str = ""
    cut_bytes: int = -1  # send so much of the body, then close the connection
    replace: str = ""  # before the request: the object gets this content (Latin-1)
    stall: bool = False  # after `cut_bytes`: send nothing more until the other side gives up
    kill: int = 0  # after `cut_bytes`, or before the answer: kill -9 this process


class Gate:
    """The WSGI application around moto's."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.lock = threading.Lock()
        self.orders: list[Order] = []
        self.counts: Counter[str] = Counter()

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        if path.startswith("/_gate"):
            return self.command(path, environ, start)
        request = f"{environ['REQUEST_METHOD']} {path}" + (f"?{query}" if query else "")
        with self.lock:
            self.counts[f"{environ['REQUEST_METHOD']} {'LIST' if 'list-type' in query else path}"] += 1
            self.counts[f"SENT {reader(environ)} {path}"] += sent_bytes(environ)
            order = self.order_for(request)
        bucket = path.split("/")[1]
        if bucket in BUCKETS and environ.get("HTTP_X_AMZ_REQUEST_PAYER") != "requester":
            return refusal(start, 403, "AccessDenied")
        if bucket == PRIVATE and "HTTP_AUTHORIZATION" not in environ:
            return refusal(start, 403, "AccessDenied")
        if order is None:
            return self.counted(path, environ, start)
        if order.status:
            return refusal(start, order.status, order.code)
        if order.replace:
            client(f"http://127.0.0.1:{environ['SERVER_PORT']}").put_object(
                Bucket=bucket,
                Key=path.split("/", 2)[2],
                Body=order.replace.encode("latin-1"),
                RequestPayer="requester",
            )
        if order.kill and order.cut_bytes < 0:
            os.kill(order.kill, signal.SIGKILL)
        return self.cut(order, environ, start) if order.cut_bytes >= 0 else self.app(environ, start)

    def counted(self, path: str, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        for chunk in self.app(environ, start):
            with self.lock:
                self.counts[f"BYTES {path}"] += len(chunk)
                self.counts[f"READ {reader(environ)} {path}"] += len(chunk)
            yield chunk

    def order_for(self, request: str) -> Order | None:
        for order in self.orders:
            if order.times and re.search(order.match, request):
                if order.skip:
                    order.skip -= 1
                    continue
                order.times -= 1
                return order
        return None

    def cut(self, order: Order, environ: Environ, start: Callable[..., Any]) -> Iterator[bytes]:
        body = b"".join(self.app(environ, start))
        yield body[: order.cut_bytes]
        if order.kill:
            os.kill(order.kill, signal.SIGKILL)
        if order.stall:
            environ["werkzeug.socket"].recv(1)
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)

    def command(self, path: str, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        if path == "/_gate/orders":
            length = int(environ["CONTENT_LENGTH"])
            orders = [Order(**one) for one in json.loads(environ["wsgi.input"].read(length))]
            with self.lock:
                self.orders = orders
        if path == "/_gate/forget":
            with self.lock:
                self.counts.clear()
        with self.lock:
            text = json.dumps(self.counts).encode()
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]


def reader(environ: Environ) -> str:
    """Whose key the request is signed with; nothing where nobody signed."""
    found = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return found[1] if found else ""


def sent_bytes(environ: Environ) -> int:
    """The bytes of the request's content; one that is sent in chunks says elsewhere how long it is."""
    return int(environ.get("HTTP_X_AMZ_DECODED_CONTENT_LENGTH") or environ.get("CONTENT_LENGTH") or 0)


def refusal(start: Callable[..., Any], status: int, code: str) -> list[bytes]:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message>'
        "<RequestId>1</RequestId><HostId>1</HostId></Error>"
    ).encode()
    start(f"{status} {code or 'Error'}", [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))])
    return [text]


def client(url: str) -> Any:
    """A client of the server's owner."""
    return boto3.session.Session(
        aws_access_key_id="owner", aws_secret_access_key="owner", region_name="us-east-1"
    ).client("s3", endpoint_url=url, config=Config(s3={"addressing_style": "path"}))


class Server:
    """A running server, from the side of a test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = client(url)

    def put(self, objects: dict[tuple[str, str], bytes]) -> None:
        """Objects by (bucket, key)."""
        for (bucket, key), content in objects.items():
            self._client.put_object(Bucket=bucket, Key=key, Body=content, RequestPayer="requester")

    def put_in_pieces(self, bucket: str, key: str, content: bytes) -> None:
        """An object of two pieces, whose ETag is no MD5; S3 wants at least 5 MiB in all pieces but the last."""
        where = {"Bucket": bucket, "Key": key, "RequestPayer": "requester"}
        upload = self._client.create_multipart_upload(**where)["UploadId"]
        parts = []
        for number, piece in enumerate((content[: 5 << 20], content[5 << 20 :]), 1):
            sent = self._client.upload_part(**where, UploadId=upload, PartNumber=number, Body=piece)
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        self._client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})

    def empty(self) -> None:
        """Removes every object, order and count."""
        self.orders()
        for bucket in (*BUCKETS, PRIVATE):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, RequestPayer="requester")
            keys = [{"Key": one["Key"]} for page in pages for one in page.get("Contents", [])]
            if keys:
                self._client.delete_objects(Bucket=bucket, Delete={"Objects": keys}, RequestPayer="requester")
        self.forget()

    def orders(self, *orders: Order) -> None:
        """Replaces the orders of the gate."""
        self._post("orders", json.dumps([asdict(order) for order in orders]).encode())

    def forget(self) -> None:
        """Counts requests anew."""
        self._post("forget", b"")

    def counts(self) -> Counter[str]:
        """Requests so far, by "METHOD /bucket/key"; listings are "GET LIST"."""
        return Counter(json.loads(self._post("counts", b"")))

    def bytes_of(self, bucket: str, ending: str) -> int:
        """Bytes of objects sent so far whose keys end so."""
        return sum(
            count
            for name, count in self.counts().items()
            if name.startswith(f"BYTES /{bucket}/") and name.endswith(ending)
        )

    def bytes_for(self, reader: str, within: str) -> tuple[int, int]:
        """(bytes read, bytes sent) so far by whoever signs with that key, of objects whose names hold `within`."""
        read, sent = (
            sum(
                count
                for name, count in self.counts().items()
                if name.startswith(f"{what} {reader} /") and within in name
            )
            for what in ("READ", "SENT")
        )
        return read, sent

    def upload(self, folder: Path, bucket: str, prefix: str) -> str:
        """Every file of a folder as an object under the prefix; gives the address, for pyarrow."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(folder).as_posix()}"
                self._client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        return self.address(bucket, prefix)

    def address(self, bucket: str, prefix: str) -> str:
        """The address of what is under the prefix, as pyarrow reads it."""
        host = self.url.removeprefix("http://")
        return f"s3://{bucket}/{prefix}?endpoint_override={host}&scheme=http&region=us-east-1"

    def remove(self, bucket: str, key: str) -> None:
        """Removes one object."""
        self._client.delete_object(Bucket=bucket, Key=key)

    def gets(self) -> int:
        """Objects asked for so far."""
        return sum(count for name, count in self.counts().items() if name.startswith("GET /"))

    def _post(self, name: str, data: bytes) -> bytes:
        with urllib.request.urlopen(f"{self.url}/_gate/{name}", data=data, timeout=10) as answer:
            return bytes(answer.read())


@contextmanager
def serving() -> Iterator[Server]:
    """A server with empty buckets, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.data.mining.s3_server"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.stdin.close()
            process.wait(10)


def main() -> None:
    from moto.backends import get_backend
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    for name in (*BUCKETS, PRIVATE):
        get_backend("s3")["123456789012"]["aws"].create_bucket(name, "us-east-1")
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    gate = Gate(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, gate, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
