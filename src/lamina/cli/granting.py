"""The options of `run` and `create` about what a container may use, do and see of the host."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..errors import InvalidArgument
from . import spellings
from .parser import Parser

if TYPE_CHECKING:
    from ..containers.host import Host

_T = TypeVar("_T")

_SYSTEM_PATHS = ("systempaths=unconfined", "systempaths:unconfined")


class BadOption(InvalidArgument):
    """An option cannot be what it says; docker exits so for these."""

    exit_status = 125


def add_options(parser: Parser) -> None:
    """Add them all."""
    _add_limits(parser)
    _add_rights(parser)
    _add_names(parser)


def _add_limits(parser: Parser) -> None:
    size, whole = spellings.size, spellings.whole
    parser.option("-m", "--memory", value="bytes", help="Memory limit", default=0, parse=size)
    swap = "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"
    parser.option("--memory-swap", value="bytes", help=swap, default=0, parse=spellings.swap)
    parser.option("--memory-reservation", value="bytes", help="Memory soft limit", default=0, parse=size)
    parser.option("--cpus", value="decimal", help="Number of CPUs", default=0, parse=spellings.nano_cpus)
    parser.option("-c", "--cpu-shares", value="int", help="CPU shares (relative weight)", default=0, parse=whole)
    period, quota = (f"Limit CPU CFS (Completely Fair Scheduler) {what}" for what in ("period", "quota"))
    parser.option("--cpu-period", value="int", help=period, default=0, parse=whole)
    parser.option("--cpu-quota", value="int", help=quota, default=0, parse=whole)
    parser.option("--cpuset-cpus", value="string", help="CPUs in which to allow execution (0-3, 0,1)")
    pids = "Tune container pids limit (set -1 for unlimited)"
    parser.option("--pids-limit", value="int", help=pids, default=0, parse=whole)
    parser.values("--ulimit", value="ulimit", help="Ulimit options", parse=spellings.rlimit)
    score = "Tune host's OOM preferences (-1000 to 1000)"
    parser.option("--oom-score-adj", value="int", help=score, default=0, parse=whole)
    parser.option("--shm-size", value="bytes", help="Size of /dev/shm", default=0, parse=size)


def _add_rights(parser: Parser) -> None:
    parser.flag("--privileged", help="Give extended privileges to this container")
    parser.values("--cap-add", value="list", help="Add Linux capabilities")
    parser.values("--cap-drop", value="list", help="Drop Linux capabilities")
    parser.values("--security-opt", value="list", help="Security Options")
    parser.values("--device", value="list", help="Add a host device to the container")
    parser.values("--tmpfs", value="list", help="Mount a tmpfs directory")
    parser.values("--sysctl", value="map", help="Sysctl options", parse=spellings.sysctl)
    parser.values("--group-add", value="list", help="Add additional groups to join")
    parser.flag("--init", help="Run an init inside the container that forwards signals and reaps processes")
    restart = "Restart policy to apply when a container exits"
    parser.option("--restart", value="string", help=restart, default="no")
    parser.option("--pid", value="string", help="PID namespace to use")
    parser.option("--ipc", value="string", help="IPC mode to use")
    parser.option("--uts", value="string", help="UTS namespace to use")


def _add_names(parser: Parser) -> None:
    parser.values("--add-host", value="list", help="Add a custom host-to-IP mapping (host:ip)", parse=spellings.host)
    parser.values("--dns", value="list", help="Set custom DNS servers", parse=spellings.address)
    parser.values("--dns-search", value="list", help="Set custom DNS search domains", parse=spellings.domain)
    parser.values("--dns-option", "--dns-opt", value="list", help="Set DNS options")


def host(options: argparse.Namespace) -> "Host":
    """Return what the options ask for.

    Raises:
        BadOption: one is malformed.
    """
    from ..containers.host import Host

    for option, mode in (("pid", "PID"), ("uts", "UTS")):
        text = getattr(options, option)
        if text and text != "host" and not text.startswith("container:"):
            raise BadOption(f"--{option}: invalid {mode} mode")
    restart = _read(spellings.restart, options.restart)
    if options.rm and restart.name != "no":
        raise BadOption("conflicting options: cannot specify both --restart and --rm")
    return Host(
        memory=options.memory,
        memory_swap=options.memory_swap,
        memory_reservation=options.memory_reservation,
        nano_cpus=options.cpus,
        cpu_shares=options.cpu_shares,
        cpu_period=options.cpu_period,
        cpu_quota=options.cpu_quota,
        cpuset_cpus=options.cpuset_cpus,
        pids_limit=options.pids_limit,
        ulimits=list({one.name: one for one in options.ulimit}.values()),
        oom_score_adj=options.oom_score_adj,
        privileged=options.privileged,
        cap_add=options.cap_add,
        cap_drop=options.cap_drop,
        security_opt=[_security(text) for text in options.security_opt if text not in _SYSTEM_PATHS],
        unmasked=any(text in _SYSTEM_PATHS for text in options.security_opt),
        devices=[_read(spellings.device, text) for text in options.device],
        tmpfs=dict(text.partition(":")[::2] for text in options.tmpfs),
        shm_size=options.shm_size,
        sysctls=dict(text.split("=", 1) for text in options.sysctl),
        extra_hosts=options.add_host,
        dns=options.dns,
        dns_search=options.dns_search,
        dns_options=options.dns_option,
        group_add=options.group_add,
        init=options.init,
        restart=restart,
        pid_mode=options.pid,
        ipc_mode=options.ipc,
        uts_mode=options.uts,
    )


def _read(parse: Callable[[str], _T], text: str) -> _T:
    try:
        return parse(text)
    except ValueError as error:
        raise BadOption(str(error)) from error


def _security(text: str) -> str:
    """Return a security option; a file of a policy is read here, for its path may mean nothing elsewhere."""
    kind, equals, value = text.partition("=" if "=" in text else ":")
    if not equals and kind != "no-new-privileges":
        raise BadOption(f'Invalid --security-opt: "{text}"')
    if kind != "seccomp" or value == "unconfined":
        return text
    try:
        with open(value, encoding="utf-8") as file:
            policy = file.read()
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or "").lower() if isinstance(error, OSError) else "it is not UTF-8"
        raise BadOption(f"opening seccomp profile ({value}) failed: open {value}: {why}") from error
    return f"seccomp={policy}"
