"""What ADD does more than COPY: local tars are unpacked, URLs are fetched."""

import posixpath
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

from ..compression import Corrupt, decompressed
from ..errors import Unavailable
from ..oci import digest
from ..streams import CHUNK, DigestMismatch, Hashed, copy
from ..tar.header import BLOCK, has_checksum
from ..tar.root import open_regular

_CONNECT, _READ = 30.0, 120.0  # seconds


class DownloadFailed(Unavailable):
    """A URL could not be fetched."""


class Download(NamedTuple):
    """A fetched file: open at its start, with its name, its time (seconds since the epoch), and its checksum."""

    file: BinaryIO
    name: str
    mtime: int
    digest: str


def is_url(text: str) -> bool:
    """Tell whether a word of ADD is a URL to fetch."""
    return text.startswith(("http://", "https://"))


def is_tar(folder: int, name: bytes) -> bool:
    """Tell whether a file is a tar, compressed or not, by its beginning."""
    with open(open_regular(folder, name), "rb") as file:
        try:
            block = decompressed(file).read(BLOCK)
        except Corrupt:
            return False
    return len(block) == BLOCK and any(block) and has_checksum(block)


def fetch(url: str, target: BinaryIO, checksum: str) -> Download:
    """Fetch a URL into an empty file.

    Args:
        url: http or https; redirects are followed.
        target: where to; open to write and read.
        checksum: the digest that the content must have; empty for any.

    Raises:
        DownloadFailed: it cannot be had.
        DigestMismatch: it is not what the checksum says.
    """
    import urllib3  # noqa: PLC0415 - only where a URL is added

    name = posixpath.basename(unquote(urlsplit(url).path))
    if not name:
        raise DownloadFailed(f"cannot determine filename for source {url}")
    timeout = urllib3.Timeout(connect=_CONNECT, read=_READ)
    pool = urllib3.PoolManager(timeout=timeout, retries=urllib3.Retry(3, backoff_factor=0.5))
    try:
        with pool.request("GET", url, preload_content=False, decode_content=False) as response:
            if response.status >= 400:
                raise DownloadFailed(f"{url}: the server answered {response.status} {response.reason}")
            hashed = Hashed(response)
            copy(hashed, target, CHUNK)
            mtime = _time(response.headers)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise DownloadFailed(f"{url}: {error}") from error
    finally:
        pool.clear()
    if checksum and hashed.digest != digest.parse(checksum):
        raise DigestMismatch(f"ADD {url}", checksum, hashed.digest)
    target.seek(0)
    return Download(target, name, mtime, hashed.digest)


def _time(headers: Any) -> int:
    """Return the Last-Modified time, or the epoch."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - a tenth of what a cached build takes

    try:
        return max(0, int(parsedate_to_datetime(headers.get("Last-Modified", "")).timestamp()))
    except (ValueError, TypeError, OverflowError):
        return 0
