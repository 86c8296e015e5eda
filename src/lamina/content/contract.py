"""What a place of content is: something to read from, something to write to, or both."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from ..errors import NotFound
from ..oci.digest import Digest
from ..oci.manifest import Descriptor
from ..streams import Reader


class ContentNotFound(NotFound):
    """A place has no content with a digest, or none under a name."""


class Source(Protocol):
    """A place that content comes from: a registry, a layout, an archive, memory."""

    def resolve(self, name: str) -> Descriptor:
        """Return what a name stands for.

        Raises:
            ContentNotFound: nothing.
        """
        ...

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Reader]:
        """Open content to read from its beginning; only the digest, the size and the media type count.

        What is read may be wrong: the one who keeps it verifies it.

        Raises:
            ContentNotFound: the place does not have it.
        """
        ...


class Target(Protocol):
    """A place that content goes to. Content becomes visible whole and verified, or not at all."""

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the place has content already."""
        ...

    def push(self, descriptor: Descriptor, stream: Reader) -> None:
        """Take content; what is there already is no error, and the stream then need not be read.

        Raises:
            DigestMismatch: the stream is not what the descriptor says; nothing is kept.
        """
        ...

    def tag(self, descriptor: Descriptor, name: str) -> None:
        """Give content, which is there, a name; another's name moves.

        Raises:
            ContentNotFound: it is not there.
        """
        ...


class Store(Source, Target, Protocol):
    """A place that keeps content."""

    def delete(self, digest: Digest) -> None:
        """Forget content and its names; what is absent is no error."""
        ...

    def __iter__(self) -> Iterator[Digest]:
        """Yield the digests of all content."""
        ...
