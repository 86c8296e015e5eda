"""How files are named and shown: those of images, and the host's."""

import os
import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..containers.files import Place
    from ..engine.browsing import FileInfo
    from ..tar.root import Root


def split(text: str) -> tuple[str, str]:
    """Return the image and the path that `IMAGE:/PATH` names; the path is empty where there is none.

    No name of an image has a colon before a slash at its end: `localhost:5000/app:1:/etc` is the folder /etc of one.
    """
    image, colon, path = text.partition(":/")
    return (image, f"/{path}") if colon and image and "/" not in image[:1] else (text, "")


def long(file: "FileInfo", name: str) -> str:
    """Return the line of a file as `ls -l` has it: mode, owner, group, size, time, name and a link's target."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(file.mtime // 10**9))
    target = f" -> {shown(file.target)}" if stat.S_ISLNK(file.mode) else ""
    size = f"{file.device[0]}, {file.device[1]}" if stat.S_ISCHR(file.mode) or stat.S_ISBLK(file.mode) else file.size
    return f"{stat.filemode(file.mode)} {file.uid:5} {file.gid:5} {size:>10} {when} {name}{target}"


def shown(name: bytes) -> str:
    """Return a name for one line of a terminal: what cannot be shown is escaped."""
    text = os.fsdecode(name)
    return "".join(char if char.isprintable() or "\udc80" <= char <= "\udcff" else repr(char)[1:-1] for char in text)


def host() -> "Root":
    """Open the host's files, from its root on."""
    from ..tar.root import Root

    return Root("/")


def host_place(host: "Root", path: str, *, follow: bool) -> "Place":
    """Return a place of the host; what the end of a path says of it is kept."""
    from ..containers.files import Place

    end = next((end for end in ("/.", "/") if path.endswith(end)), "/." if path == "." else "")
    return Place(host, os.path.abspath(path).rstrip("/") + end, "the host", follow=follow)
