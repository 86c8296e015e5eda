"""Unions of made-up layers beside what the kernel shows of them."""

import hashlib
import os
import stat

import pytest
from hypothesis import example, given
from tests import trees
from tests.contracts.test_driver import _contradicts_itself, _layers, stack, view
from tests.filetree.stacks import stacked
from tests.tars import Member, directory, file, hardlink, opaque, symlink, tar, whiteout

from lamina.errors import LaminaError
from lamina.filetree import File, Union
from lamina.snapshot import probe
from lamina.tar import checksum

pytestmark = [pytest.mark.root, pytest.mark.overlay]


@example(layers=[[directory("a"), file("a/b")], [symlink("b", "a"), whiteout("b/b")]])
@example(layers=[[file("a/b")], [hardlink("c", "a/b"), opaque("a")]])
@example(layers=[[file("a"), hardlink("a", "b/a"), file("a")]])
@example(layers=[[symlink("c", "a"), directory("a/b"), directory("c/b", mode=0o700)]])
@example(layers=[[symlink("c", "a"), directory("a/b"), directory("c/b", mode=0o700), file("c")]])
@example(layers=[[file("a/a"), symlink("c", "a"), hardlink("a", "b"), file("c/a"), file("a")]])
@example(layers=[[directory("a", mode=0o700)], [opaque("a")]])
@example(layers=[[file("a/b")], [hardlink("c/d", "a/b"), file("c/e")], [hardlink("b", "c/d"), whiteout("c")]])
@given(layers=_layers.filter(lambda layers: not any(map(_contradicts_itself, layers))))
def test_a_union_is_what_the_kernel_shows(layers: list[list[Member]], tmp_path_factory: pytest.TempPathFactory) -> None:
    data = [tar(*members) for members in layers]
    driver = probe.make("overlay2", str(tmp_path_factory.mktemp("overlay2")), privileged=True)
    try:
        shown = view(driver, stack(driver, *data))
    except LaminaError:
        return  # a layer that cannot be unpacked is in no store
    tree = stacked(*data)
    contents = {checksum.of(content): content for members in layers for _, content in members}
    assert {os.fsdecode(found.path): _node(tree, found, contents) for found in tree.walk(tree.root)} == {
        path: node._replace(names=()) for path, node in shown.items()
    }


def _node(tree: Union, found: File, contents: dict[int, bytes]) -> trees.Node:
    one, content = found.inode, os.fsdecode(found.target)
    kind = trees._KINDS[stat.S_IFMT(one.mode)]
    if kind == "file":
        content = hashlib.sha256(contents[tree.images[found.layer].checksum(one.order)]).hexdigest()
    mtime = 0 if kind == "directory" else one.mtime
    return trees.Node(kind, stat.S_IMODE(one.mode), (one.uid, one.gid), mtime, content, (), ())
