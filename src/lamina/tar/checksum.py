"""Checksums of files' contents: CRC-64 (ISO), as in tar-split.

That of a file with holes is of each `STEP` of it that is not all zeros, after its offset in eight bytes: it is the same
however the holes are cut, and costs what the data do.
"""

from fastcrc import crc64

from ..streams import CHUNK

of = crc64.go_iso
"""Return the checksum of some bytes, which go on from what another checksum is of."""

STEP = 4096
_NOTHING, _ZEROS = bytes(STEP), bytes(CHUNK)


class Whole:
    """The checksum of a file without holes, whose data come in order; `finish` completes it."""

    def __init__(self) -> None:
        self._at = 0
        self._sum = 0

    def add(self, offset: int, data: bytes | memoryview) -> None:
        """Take data that lie at an offset of the file; before them are zeros."""
        while self._at < offset:
            zeros = _ZEROS[: offset - self._at]
            self._sum = of(zeros, self._sum)
            self._at += len(zeros)
        self._sum = of(data, self._sum)
        self._at += len(data)

    def finish(self, size: int) -> int:
        """Return the checksum of a file of so many bytes."""
        self.add(size, b"")
        return self._sum


class Holed:
    """The same of a file with holes."""

    def __init__(self) -> None:
        self._start = 0
        self._step = bytearray(STEP)
        self._sum = 0

    def add(self, offset: int, data: bytes | memoryview) -> None:
        at = 0
        while at < len(data):
            inner = (offset + at) % STEP
            if offset + at - inner != self._start:
                self._end()
                self._start = offset + at - inner
            part = data[at : at + STEP - inner]
            self._step[inner : inner + len(part)] = part
            at += len(part)

    def finish(self, size: int) -> int:
        self._end()
        return self._sum

    def _end(self) -> None:
        if self._step != _NOTHING:
            self._sum = of(bytes(self._step), of(self._start.to_bytes(8, "little"), self._sum))
            self._step = bytearray(STEP)
