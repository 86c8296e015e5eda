"""`lamina login`."""

import argparse
import sys
from typing import TYPE_CHECKING

from . import registries
from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..remote.credentials import Credential

_LONGEST = 64 << 10


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina login [OPTIONS] [SERVER]", summary)
    parser.option("-p", "--password", value="string", help="Password or Personal Access Token (PAT)")
    parser.flag("--password-stdin", help="Take the Password or Personal Access Token (PAT) from stdin")
    parser.option("-u", "--username", value="string", help="Username")
    parser.arguments(0, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..remote.login import login

    host = registries.host_of("".join(options.arguments))
    keychain = registries.keychain(shell)
    credential = login(registries.settings(shell), host, _asked(options, shell))
    keychain.store(host, credential)
    if keychain.keeps_plain(host):
        shell.warn(f"WARNING! Your credentials are stored unencrypted in '{keychain.path}'.")
        shell.warn("Configure a credential helper (credsStore) there to have them kept elsewhere.")
    shell.line("Login Succeeded")
    return 0


def _asked(options: argparse.Namespace, shell: Shell) -> "Credential":
    """Return the name and the password that the options give, or the person at the terminal."""
    from ..errors import InvalidArgument
    from ..remote.credentials import Credential

    if options.password and options.password_stdin:
        raise InvalidArgument("--password and --password-stdin are mutually exclusive")
    if options.password_stdin and not options.username:
        raise InvalidArgument("Must provide --username with --password-stdin")
    if options.password:
        shell.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    password = options.password
    if options.password_stdin:
        password = sys.stdin.buffer.read(_LONGEST).decode("utf-8", "surrogateescape").rstrip("\r\n")
    elif not (options.username and password) and not sys.stdin.isatty():
        raise InvalidArgument("Cannot perform an interactive login from a non TTY device: use --password-stdin")
    username = options.username or input("Username: ").strip()
    if not password and not options.password_stdin:
        from getpass import getpass

        password = getpass("Password: ")
    if not username or not password:
        raise InvalidArgument(f"{'password' if username else 'username'} is empty")
    return Credential(username, password)
