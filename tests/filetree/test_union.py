"""What a stack of layers shows: the cases of overlayfs and of the image specification."""

import io

import pytest
from tests.tars import Member, directory, file, hardlink, symlink, tar, whiteout

from lamina.errors import InvalidArgument, NotFound
from lamina.filetree import Union
from lamina.tar.reader import Reader


def union(*layers: list[Member]) -> Union:
    tree = Union()
    for members in layers:
        tree.add(Reader(io.BytesIO(tar(*members))))
    return tree


def paths(tree: Union, folder: bytes = b"") -> list[str]:
    found: list[str] = []
    for name, _ in tree.names(folder):
        path = folder + b"/" + name if folder else name
        found.append(path.decode())
        found += paths(tree, path)
    return found


def test_layers_merge() -> None:
    tree = union([directory("d"), file("d/a"), file("d/b")], [file("d/b", b"new"), file("d/c")])
    assert paths(tree) == ["d", "d/a", "d/b", "d/c"]
    assert tree.find(b"/d/b")[1].size == 3
    assert tree.find(b"/d/b")[1].layer == 1


@pytest.mark.parametrize(
    ("above", "left"),
    [
        ([whiteout("d")], []),
        ([whiteout("d/a")], ["d", "d/b"]),
        ([file("d")], ["d"]),
        ([symlink("d", "x")], ["d"]),
        ([whiteout("d"), file("d/new")], ["d", "d/new"]),
        ([file("d/new"), whiteout("d")], ["d", "d/new"]),
        ([file("d/.wh..wh..opq"), file("d/new")], ["d", "d/new"]),
        ([file("d/new"), file("d/.wh..wh..opq")], ["d", "d/new"]),
        ([file("d/a"), whiteout("d/a")], ["d", "d/a", "d/b"]),
        ([file(".wh..wh.plnk/x")], ["d", "d/a", "d/b"]),
        ([file("d/a/x")], ["d", "d/a", "d/a/x", "d/b"]),
    ],
)
def test_a_layer_hides_what_is_below(above: list[Member], left: list[str]) -> None:
    assert paths(union([directory("d"), file("d/a"), file("d/b")], above)) == left


def test_folders_that_are_only_implied() -> None:
    tree = union([file("a/b/c")])
    assert paths(tree) == ["a", "a/b", "a/b/c"]
    assert tree.find(b"a/b")[1].mode == 0o40755


def test_a_hard_link_is_its_target() -> None:
    tree = union([file("a", b"abc")], [hardlink("b", "a"), hardlink("c", "nothing")])
    assert paths(tree) == ["a", "b"]
    assert tree.find(b"b")[1] == tree.find(b"a")[1]
    assert union([file("a", b"abc")], [hardlink("b", "a")], [whiteout("a")]).find(b"b")[1].layer == 0


@pytest.mark.parametrize(
    ("path", "found"),
    [(b"l", b"d/a"), (b"abs/a", b"d/a"), (b"up", b"d"), (b"/d/../l", b"d/a"), (b"../../d", b"d"), (b"d/a/..", None)],
)
def test_links_are_followed_inside(path: bytes, found: bytes | None) -> None:
    links = [symlink("l", "d/a"), symlink("abs", "/d"), symlink("up", "../../../d")]
    tree = union([directory("d"), file("d/a"), *links])
    if found is None:
        with pytest.raises(NotFound):
            tree.find(path)
    else:
        assert tree.find(path)[0] == found


def test_links_that_lead_nowhere() -> None:
    tree = union([symlink("a", "b"), symlink("b", "a"), symlink("c", "nothing"), file("f")])
    with pytest.raises(InvalidArgument, match="too many levels"):
        tree.find(b"a")
    for path in (b"c", b"c/x", b"f/x", b"nothing", b"nothing/.."):
        with pytest.raises(NotFound):
            tree.find(path)
    assert tree.find(b"a", follow=False)[0] == b"a"


def test_a_folder_that_is_a_link() -> None:
    """Of the same layer it is gone through; of a layer below it is covered, as overlayfs does."""
    same = union([directory("usr"), symlink("bin", "usr"), file("bin/x")])
    assert paths(same) == ["bin", "usr", "usr/x"]
    assert paths(union([directory("usr"), symlink("bin", "usr")], [file("bin/x")])) == ["bin", "bin/x", "usr"]
