"""What a new container is asked to be, settled with the config of its image."""

import os
import re
from functools import cache

import msgspec

from ..errors import InvalidArgument, NotSupported
from ..oci import config
from ..runtime.values import Bind
from . import grants, signals
from .host import Host

NETWORKS = ("none", "host")
"""The networks that a container may have."""

_MILLISECOND = 1_000_000  # nanoseconds
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class InvalidSetting(InvalidArgument):
    """A container cannot be what it is asked to be."""


class Wish(msgspec.Struct, frozen=True):
    """What a container is asked to be; what is left out is as the image has it.

    Attributes:
        command: takes the place of the image's Cmd.
        entrypoint: takes the place of the image's Entrypoint, and drops its Cmd; an empty list takes it away.
        name: unique in the store; one is found if it is empty.
        env: `NAME=value`; a bare name takes that variable away.
        binds: `source:destination[:ro|rw]`, both absolute.
        terminal: whether its streams are a terminal.
        interactive: whether it gets the caller's standard input.
        healthcheck: what of it is 0 or empty is as the image has it; the test `NONE` is none at all.
        stop_timeout: seconds between asking it to stop and killing it.
        host: what of the host it gets, besides binds, network, readonly and auto_remove.
    """

    command: list[str] = []
    entrypoint: list[str] | None = None
    name: str = ""
    env: list[str] = []
    working_dir: str = ""
    user: str = ""
    hostname: str = ""
    labels: dict[str, str] = {}
    binds: list[str] = []
    network: str = "host"
    readonly: bool = False
    terminal: bool = False
    interactive: bool = False
    auto_remove: bool = False
    domainname: str = ""
    stop_signal: str = ""
    stop_timeout: int | None = None
    healthcheck: config.Health | None = None
    host: Host = Host()


def check(wish: Wish) -> None:
    """Refuse what no container can be.

    Raises:
        InvalidSetting: the name, the network, a bind or the working directory is malformed.
        NotSupported: it is valid, and not offered yet.
    """
    if wish.name:
        check_name(wish.name)
    if wish.network not in NETWORKS:
        raise InvalidSetting(f"network {wish.network!r} is not supported: there are {' and '.join(NETWORKS)}")
    if wish.working_dir and not wish.working_dir.startswith("/"):
        raise InvalidSetting(f"the working directory '{wish.working_dir}' is invalid, it needs to be an absolute path")
    for text in wish.binds:
        bind(text)
    if wish.hostname and wish.host.uts_mode == "host":
        raise InvalidSetting("conflicting options: hostname and the UTS mode")
    if wish.stop_signal:
        signals.number(wish.stop_signal)
    _check_health(wish.healthcheck or config.Health())
    host(wish)


def host(wish: Wish) -> Host:
    """Return what of the host a container gets, as it is recorded.

    Raises:
        InvalidArgument: it cannot have it.
    """
    asked = msgspec.structs.replace(
        wish.host, binds=wish.binds, network=wish.network, readonly=wish.readonly, auto_remove=wish.auto_remove
    )
    return grants.settled(asked)


def _check_health(health: config.Health) -> None:
    for name, value in (
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
    ):
        if value and value < _MILLISECOND:
            raise InvalidSetting(f"{name} in Healthcheck cannot be less than 1ms")
    if health.retries < 0:
        raise InvalidSetting("Retries in Healthcheck cannot be negative")


def check_name(name: str) -> None:
    """Refuse what no container may be called.

    Raises:
        InvalidSetting: it is malformed.
    """
    if not _name().fullmatch(name):
        raise InvalidSetting(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


@cache
def _name() -> re.Pattern[str]:
    return re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def bind(text: str) -> Bind:
    """Return what `source:destination[:options]` means.

    Raises:
        InvalidSetting: it is malformed.
        NotSupported: it names a volume, or has options that are not offered yet.
    """
    source, *rest = text.split(":")
    if len(rest) not in (1, 2) or not rest[0].startswith("/") or os.path.normpath(rest[0]) in ("/", "//"):
        raise InvalidSetting(f"invalid volume specification: {text!r}: expected /source:/destination[:ro]")
    if not source.startswith("/"):
        raise NotSupported(f"volume {source!r}: named volumes are not supported yet, name a directory by its path")
    options = [word for word in rest[1].split(",") if word] if len(rest) > 1 else []
    if unknown := [word for word in options if word not in ("ro", "rw")]:
        raise NotSupported(f"volume option {unknown[0]!r} of {text!r} is not supported yet: there are ro and rw")
    return Bind(source, os.path.normpath(rest[0]), readonly="ro" in options)


def settle(wish: Wish, image: config.RunConfig, image_name: str, container: str) -> config.RunConfig:
    """Return the config of a container.

    Raises:
        InvalidSetting: there is nothing to run.
    """
    entrypoint, cmd = image.entrypoint, image.cmd
    if wish.entrypoint is not None:
        entrypoint, cmd = wish.entrypoint or None, None
    if wish.command:
        cmd = wish.command
    if not entrypoint and not cmd:
        raise InvalidSetting("no command specified: neither the image nor the command line says what to run")
    return msgspec.structs.replace(
        image,
        hostname=wish.hostname
        or (os.uname().nodename if "host" in (wish.network, wish.host.uts_mode) else container[:12]),
        domainname=wish.domainname,
        user=wish.user or image.user,
        attach_stdin=wish.interactive,
        attach_stdout=True,
        attach_stderr=True,
        tty=wish.terminal,
        open_stdin=wish.interactive,
        stdin_once=wish.interactive,
        env=merge_env(image.env or [], wish.env),
        cmd=cmd,
        image=image_name,
        working_dir=wish.working_dir or image.working_dir,
        entrypoint=entrypoint,
        labels={**(image.labels or {}), **wish.labels},
        stop_signal=wish.stop_signal or image.stop_signal,
        stop_timeout=image.stop_timeout if wish.stop_timeout is None else wish.stop_timeout,
        healthcheck=_health(wish.healthcheck, image.healthcheck),
    )


def _health(
    wanted: config.Health | None, image: config.Health | msgspec.UnsetType | None
) -> config.Health | msgspec.UnsetType | None:
    """Return a health check whose gaps are filled from the image's."""
    if not wanted or not image or wanted.test == ["NONE"]:
        return wanted or image
    fields = {name: getattr(wanted, name) or getattr(image, name) for name in config.Health.__struct_fields__}
    return config.Health(**fields)


def merge_env(base: list[str], more: list[str]) -> list[str]:
    """Return an environment with some variables set, or taken away by their bare name; the order is kept."""
    values = {text.partition("=")[0]: text for text in base}
    for text in more:
        name, equals, _ = text.partition("=")
        if equals:
            values[name] = text
        else:
            values.pop(name, None)
    return list(values.values())


def environment(run: config.RunConfig, home: str) -> tuple[str, ...]:
    """Return the whole environment of a container's process."""
    base = [_PATH, f"HOSTNAME={run.hostname}", *(["TERM=xterm"] if run.tty else [])]
    found = merge_env(base, run.env or [])
    if not any(text.startswith("HOME=") for text in found):
        found.append(f"HOME={home}")
    return tuple(found)
