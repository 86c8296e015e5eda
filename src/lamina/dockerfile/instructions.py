"""What a Dockerfile says, as values: one class for each keyword, its name the keyword with one capital.

Every instruction has `line`, the number of its first line, and `source`, its text as the builder prints it after
"Step 3/7 : ": lines that were continued are joined, blanks at both ends are gone, and the text of a heredoc is
left out. Words hold their variables unexpanded; see `expand.expanded`.
"""

from typing import Literal, TypeAlias

import msgspec

Network: TypeAlias = Literal["default", "none", "host"]


class Command(msgspec.Struct, frozen=True):
    """What RUN, CMD or ENTRYPOINT start: the words of a JSON array, or one text for the shell.

    `CMD` and `ENTRYPOINT` without arguments have no words, and are in shell form.
    """

    args: tuple[str, ...]
    is_shell: bool


class File(msgspec.Struct, frozen=True):
    """A file whose content stands in the Dockerfile, between `<<NAME` and `NAME`. The name has no slash."""

    name: str
    text: str
    expand: bool
    """Whether variables in the text are to be expanded."""


class Add(msgspec.Struct, frozen=True):
    """`ADD [--chown=] [--chmod=] [--checksum=] source... destination`."""

    line: int
    source: str
    sources: tuple[str, ...]
    files: tuple[File, ...]
    destination: str
    chown: str = ""
    chmod: str = ""
    checksum: str = ""


class Arg(msgspec.Struct, frozen=True):
    """`ARG name[=default]...`; None stands for no default."""

    line: int
    source: str
    variables: tuple[tuple[str, str | None], ...]


class Cmd(msgspec.Struct, frozen=True):
    """`CMD text` or `CMD ["program", "argument"]`."""

    line: int
    source: str
    command: Command


class Copy(msgspec.Struct, frozen=True):
    """`COPY [--from=] [--chown=] [--chmod=] source... destination`."""

    line: int
    source: str
    sources: tuple[str, ...]
    files: tuple[File, ...]
    destination: str
    origin: str = ""
    """What `--from` names: a stage, its number, or an image; empty for the build context. Never expanded."""
    chown: str = ""
    chmod: str = ""


class Entrypoint(msgspec.Struct, frozen=True):
    """`ENTRYPOINT text` or `ENTRYPOINT ["program", "argument"]`."""

    line: int
    source: str
    command: Command


class Env(msgspec.Struct, frozen=True):
    """`ENV name=value...`, or the old `ENV name value`."""

    line: int
    source: str
    variables: tuple[tuple[str, str], ...]


class Expose(msgspec.Struct, frozen=True):
    """`EXPOSE port[/protocol]...`, sorted as Docker sorts them."""

    line: int
    source: str
    ports: tuple[str, ...]


class From(msgspec.Struct, frozen=True):
    """`FROM [--platform=] base [AS name]`; a `Stage` keeps what it says."""

    line: int
    source: str
    base: str
    name: str = ""
    platform: str = ""


class Healthcheck(msgspec.Struct, frozen=True):
    """`HEALTHCHECK [options] CMD command`, or `HEALTHCHECK NONE`; times in nanoseconds, 0 for the default.

    `test` is what the image config holds: `NONE`, `CMD` and its words, or `CMD-SHELL` and one text.
    """

    line: int
    source: str
    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Label(msgspec.Struct, frozen=True):
    """`LABEL key=value...`, or the old `LABEL key value`."""

    line: int
    source: str
    labels: tuple[tuple[str, str], ...]


class Maintainer(msgspec.Struct, frozen=True):
    """`MAINTAINER name`."""

    line: int
    source: str
    name: str


class Onbuild(msgspec.Struct, frozen=True):
    """`ONBUILD instruction`: the text to store in the image, which `parser.trigger` reads again."""

    line: int
    source: str
    trigger: str


class Run(msgspec.Struct, frozen=True):
    """`RUN [--network=] text` or `RUN ["program", "argument"]`.

    Heredocs are part of the text for the shell, as they would be in a script, except that a heredoc alone
    is that text itself. If it begins with `#!` it is `script`, and the text names the file to make of it.
    """

    line: int
    source: str
    command: Command
    script: File | None = None
    """A file, mode 0755, that must be in `SCRIPTS` under its name while the command runs."""
    network: Network = "default"


SCRIPTS = "/dev/pipes"
"""The directory, in the container, of the `script` of a RUN; BuildKit's choice."""


class Shell(msgspec.Struct, frozen=True):
    """`SHELL ["program", "argument"]`."""

    line: int
    source: str
    args: tuple[str, ...]


class Stopsignal(msgspec.Struct, frozen=True):
    """`STOPSIGNAL signal`."""

    line: int
    source: str
    signal: str


class User(msgspec.Struct, frozen=True):
    """`USER user[:group]`."""

    line: int
    source: str
    user: str


class Volume(msgspec.Struct, frozen=True):
    """`VOLUME path...` or `VOLUME ["path"]`."""

    line: int
    source: str
    paths: tuple[str, ...]


class Workdir(msgspec.Struct, frozen=True):
    """`WORKDIR path`."""

    line: int
    source: str
    path: str


Instruction: TypeAlias = (
    Add
    | Arg
    | Cmd
    | Copy
    | Entrypoint
    | Env
    | Expose
    | Healthcheck
    | Label
    | Maintainer
    | Onbuild
    | Run
    | Shell
    | Stopsignal
    | User
    | Volume
    | Workdir
)
"""All that may stand in a stage."""


class Stage(msgspec.Struct, frozen=True):
    """A FROM and the instructions up to the next one."""

    index: int
    line: int
    source: str
    base: str
    """The image or the earlier stage to start from, unexpanded: only global arguments may be used in it."""
    name: str
    """In small letters; empty for none."""
    platform: str
    """What `--platform` says, unexpanded; empty for none."""
    instructions: tuple[Instruction, ...]


class Dockerfile(msgspec.Struct, frozen=True):
    """A whole file; it has at least one stage."""

    escape: str
    """The character that escapes another one or the end of a line: a backslash or a backtick."""
    syntax: str
    """The `# syntax=` directive, which lamina does not act on; empty for none."""
    check: str
    """The `# check=` directive, likewise."""
    arguments: tuple[Arg, ...]
    """The ARGs before the first FROM."""
    stages: tuple[Stage, ...]
    warnings: tuple[str, ...]
    """Lines for the user, in Docker's words where it has them."""
