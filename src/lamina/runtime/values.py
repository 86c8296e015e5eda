"""What is to be run, and with what around it."""

import msgspec


class User(msgspec.Struct, frozen=True):
    """Whom a process runs as, by number."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


class Bind(msgspec.Struct, frozen=True):
    """A directory or file of the host at a place in the tree; `source` is absolute."""

    source: str
    destination: str
    readonly: bool = False
    recursive: bool = True


class Process(msgspec.Struct, frozen=True):
    """A process and its surroundings.

    Attributes:
        args: the program and its arguments.
        env: its whole environment, `NAME=value`.
        cwd: where it starts.
        user: whom it runs as.
        terminal: whether its streams are a terminal.
        hostname: the name of its host.
        network: `none` for a network of its own with only a loopback, `host` for the host's.
        readonly: whether it may not write to its tree.
        binds: what of the host it sees.
    """

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str = "/"
    user: User = User()
    terminal: bool = False
    hostname: str = ""
    network: str = "host"
    readonly: bool = False
    binds: tuple[Bind, ...] = ()
