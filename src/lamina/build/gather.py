"""What one COPY or ADD brings: files of a context, downloads, texts of the Dockerfile; and what stands for it all."""

import contextlib
import hashlib
from collections.abc import Iterator

import msgspec

from ..dockerfile.instructions import Add, Copy, File
from ..errors import NotSupported
from ..oci import digest
from ..store.store import Store
from . import sources
from .archives import Download, fetch, is_url
from .context import Context
from .sources import Keeps, Selected
from .transfer import Transfer


class Gathered(msgspec.Struct, frozen=True):
    """The sources of an instruction.

    Attributes:
        context: where the selected files are.
        selected: files and directories of it.
        downloads: files that were fetched.
        files: heredocs.
    """

    context: Context
    selected: list[Selected]
    downloads: list[Download]
    files: tuple[File, ...]

    def __len__(self) -> int:
        return len(self.selected) + len(self.downloads) + len(self.files)

    def checksum(self, keeps: Keeps) -> str:
        """Return what stands for the sources in the history: `file:<hex>`, `dir:<hex>` or `multi:<hex>`."""
        found = [sources.checksum(self.context, one, keeps) for one in self.selected]
        found += [_file(one.name, one.digest) for one in self.downloads]
        found += [_file(one.name, digest.of(one.text.encode())) for one in self.files]
        return found[0] if len(found) == 1 else f"multi:{hashlib.sha256(','.join(found).encode()).hexdigest()}"

    def into(self, transfer: Transfer) -> None:
        """Copy all of it."""
        transfer.copy(self.context, self.selected)
        for download in self.downloads:
            transfer.download(download)
        for file in self.files:
            transfer.heredoc(file)


def _file(name: str, content: str) -> str:
    return f"file:{hashlib.sha256(f'{name}:{content}'.encode()).hexdigest()}"


@contextlib.contextmanager
def gathered(one: Add | Copy, context: Context, store: Store) -> Iterator[Gathered]:
    """Find the sources of an instruction, and fetch those that are elsewhere.

    Raises:
        SourceNotFound: there is nothing to copy.
        OutsideContext: a source leads above the context.
        DownloadFailed: a URL cannot be fetched.
        NotSupported: a source is a repository.
    """
    keyword = type(one).__name__.upper()
    urls = [text for text in one.sources if isinstance(one, Add) and is_url(text)]
    local = tuple(text for text in one.sources if text not in urls)
    checksum = one.checksum if isinstance(one, Add) else ""
    if checksum and (len(urls) != 1 or local):
        raise NotSupported(f"{keyword} --checksum is supported for a single URL only")
    if repository := next((url for url in urls if url.partition("#")[0].endswith(".git")), ""):
        raise NotSupported(f"{keyword} of a repository ({repository}) is not supported yet: clone it into the context")
    selected = sources.select(context, local, keyword) if local else []
    with contextlib.ExitStack() as stack:
        downloads = [fetch(url, stack.enter_context(store.temporary()), checksum) for url in urls]
        yield Gathered(context, selected, downloads, one.files)
