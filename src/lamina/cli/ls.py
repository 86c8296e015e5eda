"""`lamina ls`."""

import argparse
import os
import stat
import time
from typing import TYPE_CHECKING

from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..engine.browsing import FileInfo


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina ls [OPTIONS] IMAGE [PATH]", summary)
    parser.flag("-l", "--long", help="Show mode, owner, group, size and time of each")
    parser.flag("-R", "--recursive", help="Also list what is in directories in it, by their paths")
    parser.arguments(1, 2)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    image, path = [*options.arguments, "/"][:2]
    for file in shell.engine.image_files(image, path, deep=options.recursive):
        name = _shown(file.path if options.recursive else file.path.rpartition(b"/")[2])
        shell.line(_long(file, name) if options.long else name)
    return 0


def _long(file: "FileInfo", name: str) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(file.mtime // 10**9))
    target = f" -> {_shown(file.target)}" if stat.S_ISLNK(file.mode) else ""
    return f"{stat.filemode(file.mode)} {file.uid:5} {file.gid:5} {file.size:10} {when} {name}{target}"


def _shown(name: bytes) -> str:
    """Return a name for one line of a terminal: what cannot be shown is escaped."""
    text = os.fsdecode(name)
    return "".join(char if char.isprintable() or "\udc80" <= char <= "\udcff" else repr(char)[1:-1] for char in text)
