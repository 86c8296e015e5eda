"""`lamina find`."""

import argparse
import sys

from ..errors import InvalidArgument
from . import files
from .parser import Parser
from .shell import Shell

_EXPRESSION = """

Expression, as in find(1):
  -name -iname -path -ipath -lname GLOB   Its name, path or link's target matches
  -type f,d,l,c,b,p                       It is one of these
  -size [+-]N[cwbkMG]                     More, less or just so many units, rounded up
  -perm [-/]MODE                          It has just these permissions, all, any
  -uid -gid [+-]N                         Its owner, its group
  -empty                                  It is a file or directory with nothing in it
  -maxdepth -mindepth N                   How deep it is below the path
  -print -print0 -ls                      Print it, with a zero byte, as ls -l does
  -prune                                  Stay out of it
  ! -a -o ( )                             Not, and, or"""


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina find IMAGE[:/PATH] [EXPRESSION] | IMAGE [PATH...] [EXPRESSION]", summary + _EXPRESSION)
    parser.arguments(1, None, rest=True)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    name, *words = options.arguments
    image, path = files.split(name)
    paths = [path] if path else []
    while words and not words[0].startswith(("-", "(", "!")):
        paths.append(words.pop(0))
    if path and paths[1:]:
        raise InvalidArgument(f"two paths: {path} and {paths[1]}")
    is_terminal = sys.stdout.isatty()
    write = sys.stdout.buffer.write
    for start in paths or ["/"]:
        for file, found, action in shell.engine.find_files(image, start, words):
            if action == "-print0":
                write(found + b"\0")
            elif action == "-ls":
                write(files.long(file, files.shown(found)).encode(errors="surrogateescape") + b"\n")
            else:
                write((files.shown(found).encode(errors="surrogateescape") if is_terminal else found) + b"\n")
    sys.stdout.buffer.flush()
    return 0
