"""The checksum of a tar that the driver keeps, noted beside its digest when both were found in one pass.

What is read again later is compared with it: that finds what the disk has lost, in a seventh of the time that SHA-256
takes. It proves nothing to others, who have the digest.

    crc64:<16 hex digits> <seal>

The seal is a checksum of the checksum and the diff id: what is damaged, or another layer's, is no note.
"""

import hashlib
import os

from ..files import is_want
from ..oci.digest import Digest
from .paths import CHECKSUM

_LONGEST = 100


def noted(checksum: str, diff_id: Digest) -> str:
    """Return what is written of the checksum of a tar with this diff id."""
    return f"{checksum} {hashlib.sha256(f'{checksum} {diff_id}'.encode()).hexdigest()[:16]}"


def known(folder: str, diff_id: Digest) -> str | None:
    """Return the checksum that is noted in the description of a layer; None if there is none, or it is damaged."""
    try:
        with open(os.path.join(folder, CHECKSUM), "rb") as file:
            text = file.read(_LONGEST).decode("ascii", "replace")
    except OSError as error:
        if is_want(error):
            raise
        return None
    checksum = text.partition(" ")[0]
    return checksum if text == noted(checksum, diff_id) else None
