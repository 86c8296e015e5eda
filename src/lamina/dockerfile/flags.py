"""The `--flags` of instructions: which there are, and what was given."""

from .mistakes import did_you_mean, shown
from .statement import Statement

_OFFERED = {
    "ADD": ("chown", "chmod", "checksum"),
    "COPY": ("from", "chown", "chmod"),
    "FROM": ("platform",),
    "HEALTHCHECK": ("interval", "timeout", "start-period", "start-interval", "retries"),
    "RUN": ("network",),
}

_ELSEWHERE = {
    "ADD": ("link", "keep-git-dir", "unpack", "exclude"),
    "COPY": ("link", "parents", "exclude"),
    "RUN": ("mount", "security", "device"),
}
"""Flags that BuildKit has and lamina has not."""


def read(statement: Statement) -> dict[str, str]:
    """Return the value of each flag that was given.

    Raises:
        Malformed: a flag is unknown, not supported, given twice, or has no value.
    """
    given: dict[str, str] = {}
    for flag in statement.flags:
        written, equals, value = flag.partition("=")
        name = written.removeprefix("--")
        if name not in _OFFERED.get(statement.kind, ()):
            raise statement.error(_refusal(statement.kind, name))
        if name in given:
            raise statement.error(f"{statement.kind}: duplicate flag specified: --{name}")
        if not equals:
            raise statement.error(f"{statement.kind}: missing a value on flag: --{name} (write --{name}=VALUE)")
        given[name] = value
    return given


def _refusal(kind: str, name: str) -> str:
    if name in _ELSEWHERE.get(kind, ()):
        return f"{kind} --{name} is not supported yet: only BuildKit has it"
    offered = _OFFERED.get(kind, ())
    meant = did_you_mean(f"--{name}", [f"--{flag}" for flag in offered])
    if not offered:
        return f"unknown flag: --{shown(name)}: {kind} has none; write -- before a word that begins with --"
    return f"unknown flag: --{shown(name)}{meant}: {kind} has {', '.join(f'--{flag}' for flag in offered)}"
