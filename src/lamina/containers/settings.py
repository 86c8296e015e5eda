"""What a new container is asked to be, settled with the config of its image."""

import os
import re
from functools import cache

import msgspec

from ..errors import InvalidArgument
from ..oci import config
from . import grants, mounts, signals
from .host import Host
from .mounts import Asked, Point

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
        binds: `source:destination[:mode]`: a volume's name or an absolute path, and an absolute path.
        mounts: more of them.
        volumes: places that get a volume without a name, beside those of the image.
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
    mounts: list[Asked] = []
    volumes: list[str] = []
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
        InvalidSetting: the name, the network or the working directory is malformed.
        InvalidMount: a mount is.
        NotSupported: it is valid, and not offered yet.
    """
    if wish.name:
        check_name(wish.name)
    if wish.network not in NETWORKS:
        raise InvalidSetting(f"network {wish.network!r} is not supported: there are {' and '.join(NETWORKS)}")
    if wish.working_dir and not wish.working_dir.startswith("/"):
        raise InvalidSetting(f"the working directory '{wish.working_dir}' is invalid, it needs to be an absolute path")
    for asked in wish.mounts:
        mounts.check(asked)
    points(wish, config.RunConfig())
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
        wish.host,
        binds=wish.binds,
        network=wish.network,
        readonly=wish.readonly,
        auto_remove=wish.auto_remove,
        mounts=wish.mounts,
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


def points(wish: Wish, run: config.RunConfig) -> list[Point]:
    """Return what a container has at which places; see `mounts.points`."""
    wanted = [*map(mounts.volume, wish.binds), *wish.mounts]
    return mounts.points(wanted, sorted({*(run.volumes or {}), *wish.volumes}), wish.host.tmpfs)


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
        volumes={**(image.volumes or {}), **{place: {} for place in wish.volumes}} or None,
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
