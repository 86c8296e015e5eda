"""`lamina cp`."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from . import files, image_cp
from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..tar.root import Root


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    usage = "lamina cp [OPTIONS] CONTAINER:SRC_PATH|IMAGE:/SRC_PATH DEST_PATH|- | SRC_PATH|- CONTAINER:DEST_PATH"
    parser = Parser(usage, summary, ["lamina container cp"])
    parser.flag("-a", "--archive", help="Archive mode (copy all uid/gid information)")
    parser.flag("-L", "--follow-link", help="Always follow symbol link in SRC_PATH")
    parser.arguments(2, 2)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    source, target = (_split(text) for text in options.arguments)
    if source[0] and target[0]:
        raise InvalidArgument("copying between containers is not supported")
    if not source[0] and not target[0]:
        raise InvalidArgument("must specify at least one container source")
    name = source[0] or target[0]
    if source[0] and _is_image(options.arguments[0], name, shell):
        image_cp.copy(shell, *files.split(options.arguments[0]), target[1], options)
        return 0
    with shell.engine.files(name, "archive-path" if source[0] else "extract-to-dir") as root:
        if source[0]:
            _out(root, name, source[1], target[1], options)
        else:
            _in(root, name, source[1], target[1], options)
    return 0


def _is_image(text: str, container: str, shell: Shell) -> bool:
    """Tell whether an argument that is no container's names a file of an image."""
    from ..containers.records import ContainerNotFound
    from ..images.images import ImageNotFound
    from ..oci.reference import InvalidReference

    try:
        shell.engine.container(container)
    except ContainerNotFound:
        image, path = files.split(text)
        try:
            return bool(path and shell.engine.image_id(image))
        except (ImageNotFound, InvalidReference):
            return False
    return False


def _split(text: str) -> tuple[str, str]:
    """Return the container, empty for the host, and the path that an argument names."""
    container, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")):
        return "", text
    return container, path


def _out(root: "Root", name: str, path: str, to: str, options: argparse.Namespace) -> None:
    from ..containers.files import Place, archive, copy

    source = Place(root, path, f"container {name}", follow=options.follow_link)
    if to == "-":
        if sys.stdout.isatty():
            raise InvalidArgument("cowardly refusing to write a tar to a terminal: redirect it")
        for piece in archive(source):
            sys.stdout.buffer.write(piece)
        return
    owner = None if options.archive else (os.geteuid(), os.getegid())
    with files.host() as host:
        copy(source, files.host_place(host, to, follow=True), owner)


def _in(root: "Root", name: str, path: str, to: str, options: argparse.Namespace) -> None:
    from ..compression import decompressed
    from ..containers.files import Place, copy, extract

    target = Place(root, to, f"container {name}", follow=True)
    if path == "-":
        extract(decompressed(sys.stdin.buffer), target)
        return
    with files.host() as host:
        source = files.host_place(host, path, follow=options.follow_link)
        copy(source, target, None if options.archive else (0, 0))
