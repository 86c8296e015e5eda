"""Users and groups by name, as the files of a tree have them (passwd(5), group(5)).

user            by name or number; its own group, and all groups that list it
user:group      both by name or number; no other groups
"""

from collections.abc import Iterable

from ..errors import InvalidArgument
from ..tar.root import NotBelow, NotRegular, Root, clean, open_regular
from .values import User

_LIMIT = 16 << 20
_MAX_ID = (1 << 31) - 1
_MAX_DIGITS = 20


class UnknownUser(InvalidArgument):
    """A tree has no user or group of a name."""


def find(root: Root, text: str) -> User:
    """Return whom `user[:group]` means in a tree; nothing means root.

    Raises:
        UnknownUser: a name is not in the tree's files.
    """
    name, colon, group = (text or "0").partition(":")
    row = _row(_lines(root, b"etc/passwd", 7), name)
    groups = _lines(root, b"etc/group", 4)
    if row:
        uid, gid, home = _number(row[2]), _number(row[3]), row[5] or "/"
    else:
        uid, gid, home = _id(name, f"unable to find user {name}: no matching entries in passwd file"), 0, "/"
    if colon:
        found = _row(groups, group)
        gid = (
            _number(found[2])
            if found
            else _id(group, f"unable to find group {group}: no matching entries in group file")
        )
        return User(uid, gid, (), home)
    listed = sorted({_number(line[2]) for line in groups if row and row[0] in line[3].split(",")})
    return User(uid, gid, tuple(listed), home)


def groups(root: Root, names: Iterable[str]) -> tuple[int, ...]:
    """Return the numbers of groups of a tree, each given by name or number.

    Raises:
        UnknownUser: a name is not in the tree's files.
    """
    wanted = list(names)
    rows = _lines(root, b"etc/group", 4) if wanted else []
    return tuple(_group(_row(rows, name), name) for name in wanted)


def _group(row: list[str] | None, name: str) -> int:
    if row:
        return _number(row[2])
    if name.isdigit():
        return _id(name, f"uids and gids must be in range 0-{_MAX_ID}")
    raise UnknownUser(f"Unable to find group {name}: no matching entries in group file")


def owner(root: Root, text: str) -> tuple[int, int]:
    """Return the numbers that `--chown=user[:group]` means in a tree; the group is of the user's name if not given.

    Raises:
        UnknownUser: a name is not in the tree's files.
    """
    name, _, group = text.partition(":")
    user = _row(_lines(root, b"etc/passwd", 7), name)
    wanted = group or name
    found = _row(_lines(root, b"etc/group", 4), wanted)
    uid = _number(user[2]) if user else _id(name, f"can't find uid for user {name}: no such user: {name}")
    gid = _number(found[2]) if found else _id(wanted, f"can't find gid for group {wanted}: no such group: {wanted}")
    return uid, gid


def _lines(root: Root, path: bytes, fields: int) -> list[list[str]]:
    """Return the rows of a file of the tree, links followed; rows that are too short do not count.

    What is missing, or no file, has none.
    """
    try:
        folder, name = root.parent(root.follow(clean(path)))
        fd = open_regular(folder, name)
    except (OSError, NotBelow, NotRegular):
        return []
    with open(fd, encoding="utf-8", errors="replace") as file:
        rows = [line.rstrip("\n").split(":") for line in file.read(_LIMIT).splitlines()]
    return [row for row in rows if len(row) >= fields]


def _row(rows: list[list[str]], name: str) -> list[str] | None:
    """Return the row of a name, or of a number that no name is spelled like."""
    by_name = next((row for row in rows if row[0] == name), None)
    return by_name or next((row for row in rows if name.isdigit() and row[2] == name), None)


def _number(text: str) -> int:
    return _id(text, f"invalid id {text!r} in the files of the image")


def _id(text: str, otherwise: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS or int(text) > _MAX_ID:
        raise UnknownUser(otherwise)
    return int(text)
