"""Whom `user[:group]` means in a tree (docker run --user, USER, --chown)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.runtime import users
from lamina.runtime.users import UnknownUser
from lamina.runtime.values import User
from lamina.tar.root import Root

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
web:x:33:34:Web:/var/www:/bin/false
1000:x:7:8:named like a number:/seven:
homeless:x:40:40:::
short:x:41
web:x:99:99:a second one:/no:
"""
GROUP = "root:x:0:\nweb:x:34:\nlogs:x:4:syslog,web\naudio:x:29:web\n29:x:30:\nshort:x\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return tmp_path


@pytest.fixture
def root(tree: Path) -> Iterator[Root]:
    with Root(str(tree)) as root:
        yield root


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("", User(0, 0, (), "/root")),
        ("root", User(0, 0, (), "/root")),
        ("web", User(33, 34, (4, 29), "/var/www")),
        ("33", User(33, 34, (4, 29), "/var/www")),
        ("web:root", User(33, 0, (), "/var/www")),
        ("web:4", User(33, 4, (), "/var/www")),
        ("web:29", User(33, 30, (), "/var/www")),
        ("1000", User(7, 8, (), "/seven")),
        ("5", User(5, 0, (), "/")),
        ("5:6", User(5, 6, (), "/")),
        ("homeless", User(40, 40, (), "/")),
        (str((1 << 31) - 1), User((1 << 31) - 1, 0, (), "/")),
    ],
)
def test_found(root: Root, text: str, user: User) -> None:
    assert users.find(root, text) == user


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("short", "unable to find user short"),
        ("web:nobody", "unable to find group nobody: no matching entries in group file"),
        ("web:", "unable to find group : no matching"),
        ("-1", "unable to find user -1"),
        ("0x1", "unable to find user 0x1"),
        (str(1 << 31), "unable to find user 2147483648"),
        ("9" * 5000, "unable to find user 999"),
        ("²", "unable to find user ²"),
        ("web:³", "unable to find group ³"),
    ],
)
def test_not_found(root: Root, text: str, message: str) -> None:
    with pytest.raises(UnknownUser, match=message):
        users.find(root, text)


@pytest.mark.parametrize(("text", "owner"), [("web", (33, 34)), ("web:logs", (33, 4)), ("5:6", (5, 6)), ("7", (7, 7))])
def test_owner(root: Root, text: str, owner: tuple[int, int]) -> None:
    assert users.owner(root, text) == owner


@pytest.mark.parametrize(
    ("text", "message"),
    [("nobody", "can't find uid for user nobody"), ("homeless", "can't find gid for group homeless")],
)
def test_no_owner(root: Root, text: str, message: str) -> None:
    with pytest.raises(UnknownUser, match=message):
        users.owner(root, text)


@pytest.mark.parametrize("number", ["", "x", "-5", "²", "9" * 5000, str(1 << 40)])
def test_a_number_that_is_none(tree: Path, root: Root, number: str) -> None:
    (tree / "etc/passwd").write_text(f"bad:x:{number}:0::/:\n")
    with pytest.raises(UnknownUser, match=r"invalid id .* in the files of the image"):
        users.find(root, "bad")


def _absent(path: Path) -> None:
    pass


def _directory(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _outside(path: Path) -> None:
    path.symlink_to("/proc/self/../../etc/passwd")


def _circle(path: Path) -> None:
    path.symlink_to("passwd")


@pytest.mark.parametrize("kind", [_absent, _directory, _pipe, _outside, _circle])
def test_no_file_is_a_file_without_rows(tree: Path, root: Root, kind: object) -> None:
    (tree / "etc/passwd").unlink()
    kind(tree / "etc/passwd")  # type: ignore[operator]
    before = len(os.listdir("/proc/self/fd"))
    assert users.find(root, "33") == User(33, 0, (), "/")
    with pytest.raises(UnknownUser):
        users.find(root, "daemon")
    root.forget()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("target", ["../real", "/real", "../../../real", "link"])
def test_a_link_is_followed_inside(tree: Path, root: Root, target: str) -> None:
    (tree / "etc/link").symlink_to("/real")
    (tree / "etc/passwd").rename(tree / "real")
    (tree / "etc/passwd").symlink_to(target)
    assert users.find(root, "web").uid == 33


@given(passwd=st.binary(max_size=60), text=st.text("0:ax-²", max_size=6))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, passwd: bytes, text: str) -> None:
    tree = tmp_path_factory.getbasetemp() / "any"
    (tree / "etc").mkdir(parents=True, exist_ok=True)
    (tree / "etc/passwd").write_bytes(passwd)
    with Root(str(tree)) as root, contextlib.suppress(UnknownUser):
        assert 0 <= users.find(root, text).uid < 1 << 31
