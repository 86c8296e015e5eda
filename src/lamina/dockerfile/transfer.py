"""ADD and COPY: from where, to where, and the files that stand in the Dockerfile itself."""

from . import heredoc, words
from .instructions import Add, Copy, File
from .mistakes import quoted
from .statement import Statement


def add(at: Statement, given: dict[str, str]) -> Add:
    """Return an ADD.

    Raises:
        Malformed: it is not used like this.
    """
    sources, files, destination = _transfer(at)
    return Add(
        at.line,
        at.source,
        sources,
        files,
        destination,
        chown=given.get("chown", ""),
        chmod=given.get("chmod", ""),
        checksum=given.get("checksum", ""),
    )


def copy(at: Statement, given: dict[str, str]) -> Copy:
    """Return a COPY.

    Raises:
        Malformed: it is not used like this.
    """
    sources, files, destination = _transfer(at)
    return Copy(
        at.line,
        at.source,
        sources,
        files,
        destination,
        origin=given.get("from", ""),
        chown=given.get("chown", ""),
        chmod=given.get("chmod", ""),
    )


def _transfer(at: Statement) -> tuple[tuple[str, ...], tuple[File, ...], str]:
    """Return the paths to copy, the files that stand in the Dockerfile, and the destination."""
    array = at.array()
    *sources, destination = (words.fields(at.rest) if array is None else array) or ("",)
    if not sources:
        reason = "requires at least two arguments, but only one was provided. Destination could not be determined"
        raise at.error(f"{at.kind} {reason}")
    if array is not None:
        return tuple(sources), (), destination
    if heredoc.opener(destination):
        raise at.error(f"{at.kind} cannot accept a heredoc as a destination")
    return *_parted(at, sources), destination


def _parted(at: Statement, sources: list[str]) -> tuple[tuple[str, ...], tuple[File, ...]]:
    """Tell paths from heredocs."""
    opened = [heredoc.opener(source) for source in sources]
    if [opener for opener in opened if opener] != [text.opener for text in at.heredocs]:
        raise at.error(f"{at.kind} takes heredocs as single words: write <<NAME, without blanks")
    paths = tuple(source for source, opener in zip(sources, opened, strict=True) if opener is None)
    return paths, tuple(file(at, text) for text in at.heredocs)


def file(at: Statement, text: heredoc.Heredoc) -> File:
    """Return the file that a heredoc describes.

    Raises:
        Malformed: its name is that of another directory.
    """
    name = text.opener.name
    if "/" in name or name in (".", ".."):
        raise at.error(f"heredoc {quoted(name)} would become a file, but cannot be the name of one")
    return File(name, text.text, text.opener.expand)
