"""The files that a container finds in /etc, made by us and mounted over the image's."""

import os

from .values import Bind

NAMES = ("hostname", "hosts", "resolv.conf")

_HOSTS = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "ff00::0\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


def write(folder: str, hostname: str, network: str) -> tuple[Bind, ...]:
    """Write the files into a folder; return how they are mounted."""
    texts = {
        "hostname": hostname + "\n",
        "hosts": _host_file("/etc/hosts") if network == "host" else f"{_HOSTS}127.0.1.1\t{hostname}\n",
        "resolv.conf": _resolv_conf() if network == "host" else "",
    }
    for name, text in texts.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
    return tuple(Bind(os.path.join(folder, name), f"/etc/{name}", recursive=False) for name in texts)


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
