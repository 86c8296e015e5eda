"""How docker's command line spells sizes, limits, devices and names: texts to values; ValueError says what is wrong."""

from typing import TYPE_CHECKING

from ..errors import InvalidArgument

if TYPE_CHECKING:
    from ..containers.host import Restart
    from ..runtime.devices import Device
    from ..runtime.values import Rlimit

_BILLION = 1_000_000_000
_SYSCTLS = """
kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni kernel.shm_rmid_forced
"""


def size(text: str) -> int:
    """Return the bytes of `64m`."""
    from ..render import units

    try:
        return units.parse_size(text)
    except InvalidArgument as error:
        raise ValueError(str(error)) from error


def swap(text: str) -> int:
    """Return the bytes of a size, or -1 for no limit."""
    return -1 if text == "-1" else size(text)


def whole(text: str) -> int:
    """Return a whole number of 64 bits."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(digits) > 19 or not -(1 << 63) <= int(text) < 1 << 63:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def nano_cpus(text: str) -> int:
    """Return the billionths of `1.5`."""
    from fractions import Fraction

    try:
        found = Fraction(text) * _BILLION
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"failed to parse {text} as a rational number") from None
    if found.denominator != 1:
        raise ValueError("value is too precise")
    return int(found)


def duration(text: str) -> int:
    """Return the nanoseconds of `1m30s`."""
    from ..dockerfile import duration

    if text.removeprefix("-").replace(".", "", 1).isdigit() and text.strip("-0."):
        raise ValueError(f'time: missing unit in duration "{text}"')
    try:
        return duration.nanoseconds(text)
    except InvalidArgument as error:
        raise ValueError(f'time: invalid duration "{text}"') from error


def rlimit(text: str) -> "Rlimit":
    """Return the limit `name=soft[:hard]`."""
    from ..runtime.values import Rlimit

    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if not _is_rlimit(name):
        raise ValueError(f"invalid ulimit type: {name}")
    soft, *rest = limits.split(":")
    if len(rest) > 1:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    found = Rlimit(name, whole(soft), whole(rest[0] if rest else soft))
    if found.hard != -1 and (found.soft > found.hard or found.soft == -1):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {found.soft} > {found.hard}")
    return found


def _is_rlimit(name: str) -> bool:
    import resource

    return name.islower() and name != "infinity" and hasattr(resource, f"RLIMIT_{name.upper()}")


def device(text: str) -> "Device":
    """Return the device `/dev/x[:/dev/y][:rwm]`."""
    from ..runtime.devices import Device

    source, *rest = text.split(":")
    if not source or len(rest) > 2:
        raise ValueError(f"bad format for path: {text}")
    rights = rest.pop() if rest and _is_mode(rest[-1]) else "rwm"
    if len(rest) > 1:
        raise ValueError(f"bad mode specified: {rest[1]}")
    destination = rest[0] if rest else source
    for path in (source, destination):
        if not path.startswith("/"):
            raise ValueError(f"{path} is not an absolute path")
    return Device(source, destination, rights)


def _is_mode(text: str) -> bool:
    return bool(text) and len(set(text)) == len(text) and set(text) <= set("rwm")


def restart(text: str) -> "Restart":
    """Return the policy `on-failure[:n]`; whether there is one of the name is seen later."""
    from ..containers.host import Restart

    name, colon, count = text.partition(":")
    try:
        return Restart(name or "no", whole(count) if colon else 0)
    except ValueError:
        raise ValueError("invalid restart policy format: maximum retry count must be an integer") from None


def host(text: str) -> str:
    """Check `name:address`."""
    name, colon, address = text.partition(":")
    if not name or not colon:
        raise ValueError(f'bad format for add-host: "{text}"')
    if address != "host-gateway" and not _is_address(address):
        raise ValueError(f'invalid IP address in add-host: "{address}"')
    return text


def address(text: str) -> str:
    """Check an address of the internet, of either version."""
    if not _is_address(text.strip()):
        raise ValueError(f"IP address is not correctly formatted: {text}")
    return text.strip()


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def domain(text: str) -> str:
    """Check a domain to search; `.` is none."""
    labels = text.strip().removesuffix(".").split(".")
    if text != "." and not all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels):
        raise ValueError(f"{text} is not a valid domain")
    return text.strip()


def sysctl(text: str) -> str:
    """Check `name=value`; only what belongs to a namespace can be set."""
    name, equals, _ = text.partition("=")
    if not equals or not (name in _SYSCTLS.split() or name.startswith(("net.", "fs.mqueue."))):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return text
