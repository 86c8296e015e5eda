"""Platforms: operating system, architecture and variant (image-spec, image-index.md; names as Go has them)."""

import os

import msgspec

from ..errors import InvalidArgument

_MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "i386": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "riscv64": ("riscv64", ""),
    "s390x": ("s390x", ""),
    "loongarch64": ("loong64", ""),
}
_DEFAULT_VARIANTS = {"arm64": "v8", "arm": "v7"}


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an image runs; an empty variant is the architecture's default one."""

    architecture: str = ""
    os: str = ""
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] = msgspec.field(default=(), name="os.features")

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def runs(self, other: "Platform") -> bool:
        """Tell whether an image for `other` is one for this platform."""
        return (self.os, self.architecture, _variant(self)) == (other.os, other.architecture, _variant(other))


def _variant(platform: Platform) -> str:
    return platform.variant or _DEFAULT_VARIANTS.get(platform.architecture, "")


def host() -> Platform:
    """Return the platform of this machine."""
    machine = os.uname().machine
    architecture, variant = _MACHINES.get(machine, (machine, ""))
    return Platform(architecture, "linux", variant)


def parse(text: str) -> Platform:
    """Return the platform named by `os/architecture[/variant]`, or by `architecture` alone for Linux.

    Raises:
        InvalidArgument: the text has another form.
    """
    parts = text.lower().split("/")
    if len(parts) > 3 or not all(parts):
        raise InvalidArgument(f"invalid platform {text!r}: expected os/architecture[/variant], such as linux/amd64")
    if len(parts) == 1:
        parts = ["linux", *parts]
    os_name, machine, *variant = parts
    architecture, default = _MACHINES.get(machine, (machine, ""))
    return Platform(architecture, os_name, variant[0] if variant else default)
