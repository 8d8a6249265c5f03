"""Where data may lie other than in a folder: an address as s3://BUCKET/PREFIX, opened here and nowhere else.

S3 is spoken to by pyarrow's client, which every installation has and which needs none of the packages that would be at
odds with ours (s3fs pins botocore). Credentials come from where AWS's own tools have them, never from the address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import urlsplit

from hlhft.data.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import fs

S3 = "s3://"


class AddressError(ValueError):
    """An address that names no storage, or holds a secret; the sentence says what to give."""


class Place(Protocol):
    """What reading needs of a folder or file, of this machine (pathlib's Path) or at an address (RemotePath)."""

    @property
    def name(self) -> str:
        """The last part of it."""

    def __truediv__(self, part: str, /) -> Self: ...

    def iterdir(self) -> Iterator[Self]:
        """What lies directly in the folder."""

    def is_dir(self) -> bool:
        """Whether it is a folder."""


def is_address(text: str | Path) -> bool:
    """Whether the text is an address and no path of this machine."""
    return isinstance(text, str) and "://" in text


def without_secret(address: str) -> str:
    """The address itself. Raises AddressError for one that holds a password or a secret key."""
    parts = urlsplit(address)
    if parts.password or "secret" in parts.query:
        raise AddressError(
            f"the address of the storage at {parts.hostname} holds a secret: leave it out, and give the credentials as "
            "AWS's tools read them, in the environment or in ~/.aws/credentials"
        )
    return address


def opened_s3(address: str) -> tuple[fs.FileSystem, str]:
    """The file system of s3://BUCKET/PREFIX?region=…&endpoint_override=…, and BUCKET/PREFIX. Raises AddressError."""
    import pyarrow as pa
    from pyarrow import fs

    try:
        files, root = fs.FileSystem.from_uri(without_secret(address))
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, AddressError):
            raise
        raise AddressError(f"{address}: no storage can be opened there ({error}): give s3://BUCKET/PREFIX") from None
    return files, root.rstrip("/")


def place_at(where: str | Path | RemotePath) -> Path | RemotePath:
    """The folder of that path, or what lies at that address. Raises DataError for an address of no storage."""
    if isinstance(where, RemotePath) or not is_address(where):
        return where if isinstance(where, RemotePath) else Path(where)
    address = str(where)
    if not address.startswith(S3):
        raise DataError(address, None, "a catalogue is not read from there, give a folder or s3://BUCKET/PREFIX")
    try:
        files, root = opened_s3(address)
    except AddressError as error:
        raise DataError(root_of(address), None, str(error).removeprefix(f"{address}: ")) from None
    return RemotePath(address, root, files=files)


def root_of(address: str) -> str:
    """The address as people are told of it: without what stands behind the question mark."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}{parts.path}".rstrip("/")


def read(place: Place, bytes_max: int) -> bytes:
    """The first `bytes_max` bytes of a file. Raises FileNotFoundError, and DataError where a storage does not give it.

    Of a file of this machine that cannot be read, raises OSError.
    """
    if isinstance(place, RemotePath):
        return place.read(bytes_max)
    assert isinstance(place, Path)
    with place.open("rb") as stream:
        return stream.read(bytes_max)


def size_of(place: Place) -> int:
    """The bytes of a file. Raises as `read`."""
    if isinstance(place, RemotePath):
        return place.size()
    assert isinstance(place, Path)
    return place.stat().st_size


@dataclass(frozen=True)
class RemotePath:
    """A folder or an object in a storage, to be read only; `str` of it is its address as people are told of it.

    What the storage refuses is a DataError, a sentence that names it. An object that is not there is a
    FileNotFoundError, as a file's.
    """

    address: str  # of the root, as it was given
    inside: str  # BUCKET/PREFIX/…
    files: fs.FileSystem = field(compare=False, repr=False)

    def __str__(self) -> str:
        return S3 + self.inside

    @property
    def name(self) -> str:
        """What is behind the last slash."""
        return self.inside.rpartition("/")[2]

    def __truediv__(self, part: str) -> RemotePath:
        return RemotePath(self.address, f"{self.inside}/{part}", files=self.files)

    def iterdir(self) -> Iterator[RemotePath]:
        """Folders and objects directly below; none where there is nothing."""
        from pyarrow import fs

        try:
            found = self.files.get_file_info(fs.FileSelector(self.inside, allow_not_found=True))
        except OSError as error:
            raise self.refused(error) from None
        return (self / one.base_name for one in found)

    def is_dir(self) -> bool:
        """Whether anything lies below it. Raises DataError where there is not even such a bucket."""
        if next(self.iterdir(), None) is not None:
            return True
        bucket = self.inside.partition("/")[0]
        if not self._exists(bucket):
            raise DataError(self, None, f"there is no bucket {bucket} there, correct the address")
        return False

    def read(self, bytes_max: int) -> bytes:
        """The first bytes of the object."""
        try:
            with self.files.open_input_stream(self.inside) as stream:
                return bytes(stream.read(bytes_max))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self.refused(error) from None

    def size(self) -> int:
        """The bytes of the object."""
        with self.opened() as content:
            return int(content.size())

    def opened(self) -> pa.NativeFile:
        """The object, of which what is read is fetched."""
        try:
            return self.files.open_input_file(self.inside)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self.refused(error) from None

    def version(self) -> bytes:
        """What changes when the object is replaced: its ETag; nothing when it is not there."""
        try:
            with self.opened() as content:
                return version_of(content)
        except FileNotFoundError:
            return b""

    def refused(self, error: OSError) -> DataError:
        """The sentence for what the storage answered."""
        text = " ".join(str(error).split())
        if "ACCESS_DENIED" in text or "ACCESS_KEY" in text or "SIGNATURE" in text or "CREDENTIALS" in text:
            return DataError(
                self,
                None,
                f"the storage refuses it ({_short(text)}), give credentials that may list and read it, in the "
                "environment or in ~/.aws/credentials",
            )
        if "NO_SUCH_BUCKET" in text:
            return DataError(self, None, "there is no such bucket, correct the address")
        return DataError(self, None, f"the storage does not give it ({_short(text)}), see that it answers")

    def _exists(self, inside: str) -> bool:
        from pyarrow import fs

        try:
            return bool(self.files.get_file_info(inside).type != fs.FileType.NotFound)
        except OSError as error:
            raise self.refused(error) from None


def version_of(content: pa.NativeFile) -> bytes:
    """The ETag of an open object; it came with its size, so nothing is asked again."""
    return bytes(content.metadata().get("ETag", b""))


def _short(text: str) -> str:
    """What of pyarrow's sentence says why: from "AWS Error" on, bounded."""
    return text[max(text.find("AWS Error"), 0) :][:200].rstrip(". ")
