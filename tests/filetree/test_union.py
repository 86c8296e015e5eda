"""What a stack of layers shows: the cases of overlayfs and of the image specification."""

import pytest
from tests.filetree.stacks import paths, union
from tests.tars import Member, directory, file, hardlink, opaque, symlink, whiteout

from lamina.errors import InvalidArgument, NotFound
from lamina.tar.header import InvalidTar


def test_layers_merge() -> None:
    tree = union([directory("d"), file("d/a"), file("d/b")], [file("d/b", b"new"), file("d/c")])
    assert paths(tree) == ["d", "d/a", "d/b", "d/c"]
    assert tree.find(b"/d/b").size == 3
    assert tree.find(b"/d/b").layer == 1


def test_names_are_sorted_whatever_layers_they_are_of() -> None:
    tree = union([file("b"), file("d")], [file("c"), file("a")], [file("b.x/y"), file("b/y")])
    assert paths(tree) == ["a", "b", "b/y", "b.x", "b.x/y", "c", "d"]


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
        ([file("d"), directory("d")], ["d"]),
        ([opaque("")], []),
        ([opaque(""), directory("d")], ["d"]),
        ([directory("l"), symlink("ll", "d"), whiteout("ll/a")], ["d", "d/b", "l", "ll"]),
    ],
)
def test_a_layer_hides_what_is_below(above: list[Member], left: list[str]) -> None:
    assert paths(union([directory("d"), file("d/a"), file("d/b")], above)) == left


def test_what_was_hidden_stays_so() -> None:
    base = [directory("d"), file("d/a"), directory("d/e"), file("d/e/f")]
    assert paths(union(base, [whiteout("d")], [file("d/b")])) == ["d", "d/b"]
    assert paths(union(base, [opaque("d/e")], [directory("d/e")])) == ["d", "d/a", "d/e"]
    assert paths(union(base, [file("d")], [directory("d")])) == ["d"]


def test_folders_that_are_only_implied() -> None:
    tree = union([file("a/b/c")])
    assert paths(tree) == ["a", "a/b", "a/b/c"]
    assert tree.find(b"a/b").inode.mode == 0o40755


def test_an_implied_folder_is_described_by_the_one_below() -> None:
    base = [directory("tmp", mode=0o1777, uid=3)]
    assert union(base, [file("tmp/x")]).find(b"tmp").inode.mode == 0o41777
    tree = union(base, [file("tmp/x")])
    assert next(tree.names(tree.root)).inode.uid == 3
    assert union(base, [whiteout("tmp"), file("tmp/x")]).find(b"tmp").inode.mode == 0o41777
    assert union(base, [file("tmp")], [whiteout("tmp"), file("tmp/x")]).find(b"tmp").inode.mode == 0o40755


def test_a_hard_link_is_its_target() -> None:
    tree = union([file("a", b"abc")], [hardlink("b", "a")])
    assert paths(tree) == ["a", "b"]
    assert tree.find(b"b").identity == tree.find(b"a").identity == (1, tree.find(b"b").inode.number)
    assert union([file("a", b"abc")], [hardlink("b", "a")], [whiteout("a")]).find(b"b").size == 3
    tree = union([file("a", b"abc")], [file("x"), hardlink("b", "a")], [hardlink("c", "b"), file("b", b"new")])
    assert (tree.find(b"c").layer, tree.find(b"c").size, tree.find(b"b").size) == (2, 3, 3)


def test_a_hard_link_to_a_file_that_its_folder_hides() -> None:
    """The link has the content, and nothing comes back at the name that is hidden."""
    tree = union([directory("d"), file("d/f", b"abc"), file("d/g")], [opaque("d"), hardlink("x", "d/f")])
    assert paths(tree) == ["d", "x"]
    assert tree.find(b"x").size == 3


def test_a_hard_link_keeps_what_is_replaced() -> None:
    tree = union([file("a", b"first"), hardlink("b", "a"), file("a", b"second one")])
    assert (tree.find(b"b").size, tree.find(b"a").size) == (5, 10)


def test_a_hard_link_to_nothing() -> None:
    for layers in ([[file("a")]], []):
        with pytest.raises(InvalidTar, match="'nothing', which is in no layer below"):
            union(*layers, [hardlink("c", "nothing")])


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
        assert tree.find(path).path == found


def test_links_that_lead_nowhere() -> None:
    tree = union([symlink("a", "b"), symlink("b", "a"), symlink("c", "nothing"), file("f")])
    with pytest.raises(InvalidArgument, match="oo many levels"):
        tree.find(b"a")
    for path in (b"c", b"c/x", b"f/x", b"nothing", b"nothing/..", b"f/", b"f/."):
        with pytest.raises(NotFound):
            tree.find(path)
    assert tree.find(b"a", follow=False).path == b"a"


def test_files_after_each_other_in_one_folder() -> None:
    """However their names are written, and whatever becomes of the folder between them."""
    tree = union([file("./d/a"), file("./d/b"), file("d/../d/c"), file("d//x"), file("d/.wh.a"), file("d/a", b"new")])
    assert paths(tree) == ["d", "d/a", "d/b", "d/c", "d/x"]
    assert tree.find(b"d/a").size == 3
    moved = [directory("e"), symlink("d", "e"), file("d/a"), file("d/b"), symlink("d", "f"), file("d/c"), file("d/d")]
    assert paths(union(moved)) == ["d", "e", "e/a", "e/b", "f", "f/c", "f/d"]
    gone = [file("d/a"), file("d/b"), file("d"), directory("d"), file("d/c")]
    assert paths(union(gone)) == ["d", "d/c"]


def test_a_folder_that_is_a_link() -> None:
    """Of the same layer it is gone through; of a layer below it is covered, as overlayfs does."""
    same = union([directory("usr"), symlink("bin", "usr"), file("bin/x")])
    assert paths(same) == ["bin", "usr", "usr/x"]
    assert paths(union([directory("usr"), symlink("bin", "usr")], [file("bin/x")])) == ["bin", "bin/x", "usr"]


def test_names_that_are_not_utf_8() -> None:
    tree = union([file("d/\udcff\udcfe", b"x")], [file("d/\udcff", b"yy")])
    assert [found.path for found in tree.walk(tree.root)] == [b"d", b"d/\xff", b"d/\xff\xfe"]
    assert tree.find(b"d/\xff").size == 2
