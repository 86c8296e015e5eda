"""The files that a container finds in /etc, made by us and mounted over the image's."""

import os

import msgspec

from .values import Bind

NAMES = ("hostname", "hosts", "resolv.conf")

GATEWAY = "host-gateway"
"""The address that stands for the host's own."""

_HOSTS = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "ff00::0\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


class Names(msgspec.Struct, frozen=True):
    """What a container knows of the names of others, besides what its network has.

    Attributes:
        hosts: `name:address`.
        servers: addresses that resolve names.
        search: domains in which bare names are looked for; `.` for none.
        options: of the resolver (resolv.conf(5)).
    """

    hosts: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def write(folder: str, hostname: str, network: str, names: Names = Names()) -> tuple[Bind, ...]:  # noqa: B008 - frozen
    """Write the files into a folder; return how they are mounted."""
    hosts = _host_file("/etc/hosts") if network == "host" else f"{_HOSTS}127.0.1.1\t{hostname}\n"
    texts = {
        "hostname": hostname + "\n",
        "hosts": hosts + "".join(map(_host, names.hosts)),
        "resolv.conf": _resolver(_resolv_conf() if network == "host" else "", names),
    }
    for name, text in texts.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
    return tuple(Bind(os.path.join(folder, name), f"/etc/{name}", recursive=False) for name in texts)


def _host(text: str) -> str:
    name, _, address = text.partition(":")
    return f"{'127.0.0.1' if address == GATEWAY else address}\t{name}\n"


def _resolver(text: str, names: Names) -> str:
    """Return the resolver's file with some of it replaced; without any, as it is."""
    if not (names.servers or names.search or names.options):
        return text
    rows = [line.split() for line in text.splitlines() if line.strip()]
    known = {kind: [word for row in rows if row[0] == kind for word in row[1:]] for kind in ("search", "options")}
    servers = names.servers or [row[1] for row in rows if row[0] == "nameserver" and len(row) > 1]
    search = [word for word in names.search or known["search"] if word != "."]
    options = names.options or known["options"]
    lines = ["search " + " ".join(search)] if search else []
    lines += [f"nameserver {server}" for server in servers]
    lines += ["options " + " ".join(options)] if options else []
    return "".join(f"{line}\n" for line in lines)


def _resolv_conf() -> str:
    """Return the host's resolver; behind systemd's stub, the real one."""
    text = _host_file("/etc/resolv.conf")
    if "127.0.0.53" in text:
        return _host_file("/run/systemd/resolve/resolv.conf") or text
    return text


def _host_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(1 << 20)
    except OSError:
        return ""
