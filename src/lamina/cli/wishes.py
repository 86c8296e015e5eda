"""The options that `run` and `create` share, and the wish that they are."""

import argparse
from typing import TYPE_CHECKING

from . import granting, health, mounting, spellings
from .granting import BadOption
from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..containers.settings import Wish


def add_options(parser: Parser) -> None:
    """Add the options of a new container."""
    parser.option("--domainname", value="string", help="Container NIS domain name")
    parser.option("--entrypoint", value="string", help="Overwrite the default ENTRYPOINT of the image", default=None)
    parser.values("-e", "--env", value="list", help="Set environment variables")
    parser.values("--env-file", value="list", help="Read in a file of environment variables")
    parser.option("-h", "--hostname", value="string", help="Container host name")
    parser.flag("-i", "--interactive", help="Keep STDIN open even if not attached")
    parser.values("-l", "--label", value="list", help="Set meta data on a container")
    parser.values("--mount", value="mount", help="Attach a filesystem mount to the container", parse=mounting.mount)
    parser.option("--name", value="string", help="Assign a name to the container")
    parser.option("--network", "--net", value="network", help="Connect a container to a network: none or host")
    parser.flag("--read-only", help="Mount the container's root filesystem as read only")
    parser.flag("--rm", help="Automatically remove the container when it exits")
    parser.option("--stop-signal", value="string", help="Signal to stop the container")
    timeout = "Timeout (in seconds) to stop a container"
    parser.option("--stop-timeout", value="int", help=timeout, default=None, parse=spellings.whole)
    parser.flag("-t", "--tty", help="Allocate a pseudo-TTY")
    parser.option("-u", "--user", value="string", help="Username or UID (format: <name|uid>[:<group|gid>])")
    parser.values("-v", "--volume", value="list", help="Bind mount a volume: [source:]/destination[:mode]")
    parser.option("-w", "--workdir", value="string", help="Working directory inside the container")
    granting.add_options(parser)
    health.add_options(parser)


def wish(options: argparse.Namespace, shell: Shell) -> "Wish":
    """Return what a container is asked to be.

    Raises:
        InvalidArgument: an option's value is malformed.
    """
    from ..containers.settings import Wish

    entrypoint = None if options.entrypoint is None else [options.entrypoint] if options.entrypoint else []
    return Wish(
        command=options.arguments[1:],
        entrypoint=entrypoint,
        name=options.name,
        env=environment(options, shell),
        working_dir=options.workdir,
        user=options.user,
        hostname=options.hostname,
        labels={name: value for name, _, value in (text.partition("=") for text in options.label)},
        binds=[mounting.absolute(text) for text in options.volume if ":" in text],
        mounts=[mounting.asked(fields) for fields in options.mount],
        volumes=[text for text in options.volume if ":" not in text],
        network=options.network if options.network not in ("", "default") else "host",
        readonly=options.read_only,
        terminal=options.tty,
        interactive=options.interactive,
        auto_remove=options.rm,
        domainname=options.domainname,
        stop_signal=options.stop_signal,
        stop_timeout=options.stop_timeout,
        healthcheck=health.check(options),
        host=granting.host(options),
    )


def environment(options: argparse.Namespace, shell: Shell) -> list[str]:
    """Return the variables that options name."""
    return [*_from_files(options.env_file, shell), *_environment(options.env, shell)]


def _environment(texts: list[str], shell: Shell) -> list[str]:
    """Return variables; a bare name takes its value from here, or goes if it has none."""
    found = []
    for text in texts:
        name, equals, _ = text.partition("=")
        if not name:
            raise BadOption(f'invalid argument "{text}" for "-e, --env" flag: invalid environment variable: {text}')
        value = shell.environment.get(name)
        found.append(text if equals or value is None else f"{name}={value}")
    return found


def _from_files(paths: list[str], shell: Shell) -> list[str]:
    """Return the variables of files: one a line, `#` begins a comment line."""
    found: list[str] = []
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                lines = [line.lstrip().rstrip("\n") for line in file]
        except (OSError, UnicodeDecodeError) as error:
            raise BadOption(f"cannot read the environment file {path}: {_why(error)}") from error
        found += _environment([line for line in lines if line and not line.startswith("#")], shell)
    return found


def _why(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)
