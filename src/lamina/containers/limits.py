"""Limits that no container can have, in the words of dockerd (moby, daemon/daemon_unix.go)."""

import os
import resource

from ..errors import InvalidArgument
from ..runtime import capabilities
from ..runtime.values import Rlimit
from .host import Host

LEAST_MEMORY = 6 << 20
"""Bytes without which no runtime can start a process."""

_BILLION = 1_000_000_000


class InvalidLimit(InvalidArgument):
    """A limit makes no sense, contradicts another one, or is not ours to give."""


def check(host: Host) -> None:
    """Refuse limits that cannot be kept.

    Raises:
        InvalidLimit: the message says which, and why.
    """
    refusals = (*_memory(host), *_cpu(host), *_cpuset(host.cpuset_cpus), *_score(host.oom_score_adj))
    for refusal in (*refusals, *(text for one in host.ulimits for text in _ulimit(one))):
        if refusal:
            raise InvalidLimit(refusal)


def _memory(host: Host) -> tuple[str, ...]:
    memory, swap, reservation = host.memory, host.memory_swap, host.memory_reservation
    return (
        "Minimum memory limit allowed is 6MB" * (0 < memory < LEAST_MEMORY),
        "Minimum memoryswap limit should be larger than memory limit, see usage" * (memory > 0 and 0 < swap < memory),
        "You should always set the Memory limit when using Memoryswap limit, see usage" * (swap > 0 and not memory),
        "Minimum memory reservation allowed is 6MB" * (0 < reservation < LEAST_MEMORY),
        "Minimum memory limit can not be less than memory reservation limit, see usage" * (0 < memory < reservation),
        "SHM size can not be less than 0" * (host.shm_size < 0),
    )


def _cpu(host: Host) -> tuple[str, ...]:
    nano, period, quota, count = host.nano_cpus, host.cpu_period, host.cpu_quota, os.cpu_count() or 1
    return (
        "Conflicting options: Nano CPUs and CPU Period cannot both be set" * (nano > 0 and period > 0),
        "Conflicting options: Nano CPUs and CPU Quota cannot both be set" * (nano > 0 and quota > 0),
        f"Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        * (nano != 0 and not _BILLION // 100 <= nano <= count * _BILLION),
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        * (period != 0 and not 1000 <= period <= 1_000_000),
        "CPU cfs quota can not be less than 1ms (i.e. 1000)" * (quota > 0 and quota < 1000),
        "shares: invalid argument" * (host.cpu_shares < 0),
        "the minimum allowed cpu-shares is 2" * (host.cpu_shares == 1),
    )


def _cpuset(text: str) -> tuple[str, ...]:
    """Return why processors such as `0-2,4` cannot be had."""
    wanted: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        if not all(end.isascii() and end.isdigit() and len(end) < 6 for end in (first, last or first)):
            return (f"Invalid value {text} for cpuset cpus: invalid format: {text}",)
        wanted.update(range(int(first), int(last or first) + 1))
    available = _available()
    refusal = f"Requested CPUs are not available - requested {text}, available: {available}"
    return (refusal * (not wanted <= set(_processors(available))),)


def _available() -> str:
    with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
        return file.read().strip()


def _processors(text: str) -> list[int]:
    ranges = [part.partition("-") for part in text.split(",")]
    return [number for first, _, last in ranges for number in range(int(first), int(last or first) + 1)]


def _score(wanted: int) -> tuple[str, ...]:
    if not -1000 <= wanted <= 1000:
        return (f"Invalid value {wanted}, range for oom score adj is [-1000, 1000]",)
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        own = int(file.read())
    if wanted and wanted < own and not _may_raise():
        return (f"--oom-score-adj {wanted}: less than our own {own} needs CAP_SYS_RESOURCE",)
    return ()


def _ulimit(wanted: Rlimit) -> tuple[str, ...]:
    soft, hard = _endless(wanted.soft), _endless(wanted.hard)
    if soft > hard:
        return (f"ulimit soft limit must be less than or equal to hard limit: {wanted.soft} > {wanted.hard}",)
    number = getattr(resource, f"RLIMIT_{wanted.name.upper()}", None)
    if number is None:
        return (f"invalid ulimit type: {wanted.name}",)
    own = resource.getrlimit(number)[1]
    if hard > _endless(own) and not _may_raise():
        return (f"ulimit {wanted.name}={wanted.hard}: more than our own hard limit {own} needs CAP_SYS_RESOURCE",)
    return ()


def _endless(limit: int) -> float:
    return float("inf") if limit == resource.RLIM_INFINITY else limit


def _may_raise() -> bool:
    return "CAP_SYS_RESOURCE" in capabilities.ours()
