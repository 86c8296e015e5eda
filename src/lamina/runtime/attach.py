"""The streams of a monitored process, from outside: what it prints, and what it is to read.

A conmon listens on a socket of packets (SOCK_SEQPACKET). It sends what the process prints, the first byte of a packet
saying where: 2 for standard output, 3 for standard error. What it gets is the process's input, and its end is that of
the input. A terminal's size goes over a fifo beside the socket. Source: conmon's conn_sock.c and ctrl.c.
"""

import contextlib
import os
import re
import select
import socket
from collections.abc import Iterator

from ..errors import Conflict, InvalidArgument
from . import bundle
from .children import Streams

DETACH_KEYS = "ctrl-p,ctrl-q"
"""What Docker's users type to leave a container that goes on."""

_INPUT = 8192  # bytes of a packet that a conmon takes as a whole
_PACKET = 1 << 16


class NotAttachable(Conflict):
    """A process has no socket: it runs in the foreground of its starter."""


class Attachment:
    """A connection to a process's streams; a context manager.

    Raises:
        NotAttachable: there is nothing to connect to.
    """

    def __init__(self, run_root: str, name: str) -> None:
        self._folder = bundle.folder(run_root, name)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            fd = os.open(self._folder, os.O_PATH | os.O_DIRECTORY)
            try:
                self._socket.connect(f"/proc/self/fd/{fd}/attach")  # its own path may be longer than a socket's may
            finally:
                os.close(fd)
        except OSError as error:
            self._socket.close()
            raise NotAttachable(f"container {name[:12]} cannot be attached to: nobody offers its streams") from error

    def __enter__(self) -> "Attachment":
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def resize(self, rows: int, columns: int) -> None:
        """Say how large the terminal is on which somebody looks at the process."""
        with contextlib.suppress(OSError):
            fd = os.open(os.path.join(self._folder, "ctl"), os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(fd, f"1 {rows} {columns}\n".encode())
            finally:
                os.close(fd)

    def copy(self, streams: Streams, *, stdin: bool, keys: bytes = b"") -> bool:
        """Copy both ways until the process has closed its streams, or somebody types `keys`.

        Args:
            streams: of whoever looks on.
            stdin: whether the process gets what is typed.
            keys: what leaves the process as it is; nothing, and all is for the process.

        Returns:
            Whether the process has closed its streams.
        """
        typed = _Typed(keys)
        sources: list[socket.socket | int] = [self._socket, *([streams.stdin] if stdin else [])]
        while True:
            ready, _, _ = select.select(sources, [], [])
            if streams.stdin in ready and stdin:
                data = os.read(streams.stdin, _INPUT)
                for part in typed.feed(data) if data else ():
                    self._send(part)
                if typed.is_complete:
                    return False
                if not data:
                    sources.remove(streams.stdin)
                    with contextlib.suppress(OSError):
                        self._socket.shutdown(socket.SHUT_WR)
            if self._socket in ready and not self._receive(streams):
                return True

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the process reads no more
            self._socket.send(data)

    def _receive(self, streams: Streams) -> bool:
        """Hand a packet on; return whether there was one."""
        try:
            packet = self._socket.recv(_PACKET)
        except ConnectionResetError:
            return False
        target, data = (streams.stderr if packet[:1] == b"\x03" else streams.stdout), packet[1:]
        while data:
            data = data[os.write(target, data) :]
        return bool(packet)


class _Typed:
    """What is typed, with the detach keys kept back until it is clear whether they are those."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._kept = b""

    @property
    def is_complete(self) -> bool:
        return bool(self._keys) and self._kept == self._keys

    def feed(self, data: bytes) -> Iterator[bytes]:
        if not self._keys:
            yield data
            return
        out = b""
        for byte in (data[at : at + 1] for at in range(len(data))):
            kept = self._kept + byte
            if self._keys.startswith(kept):
                self._kept = kept
                if self.is_complete:
                    break
            elif self._keys.startswith(byte):
                out, self._kept = out + self._kept, byte
            else:
                out, self._kept = out + kept, b""
        if out:
            yield out


def keys(text: str) -> bytes:
    """Return the bytes that `ctrl-p,ctrl-q` and the like are typed as.

    Raises:
        InvalidArgument: the text says no such thing.
    """
    found = b""
    for word in text.split(",") if text else ():
        if re.fullmatch(r"ctrl-[a-z@\[\\\]^_]", word, re.IGNORECASE):
            found += bytes([ord(word[-1].upper()) & 0x1F])
        elif len(word) == 1 and word.isascii():
            found += word.encode()
        else:
            raise InvalidArgument(
                f"invalid detach keys ({text}): expected letters and ctrl-LETTER, with commas between"
            )
    return found
