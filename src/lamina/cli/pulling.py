"""Images that a container is to be made of, fetched where they are missing."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from .parser import Parser

if TYPE_CHECKING:
    from .shell import Shell

_POLICIES = ("always", "missing", "never")
_Result = TypeVar("_Result")


def add_options(parser: Parser) -> None:
    """Add the option that says whether to fetch."""
    about = 'Pull image before running ("always", "missing", "never")'
    parser.option("--pull", value="string", help=about, default="missing", parse=_policy)


def _policy(text: str) -> str:
    if text not in _POLICIES:
        raise ValueError(f"there are {', '.join(_POLICIES)}")
    return text


def with_image(options: argparse.Namespace, shell: "Shell", work: Callable[[], _Result]) -> _Result:
    """Do some work with an image, the first argument; it is fetched before if it is missing, or always."""
    from ..images.images import ImageNotFound

    image = options.arguments[0]
    if options.pull == "always":
        shell.engine.pull(image)
        return work()
    try:
        return work()
    except ImageNotFound:
        if options.pull == "never":
            raise
    shell.warn(f"Unable to find image '{_tagged(image)}' locally")
    shell.engine.pull(image)
    return work()


def _tagged(name: str) -> str:
    from ..oci import reference

    return reference.parse(name).tagged().familiar
