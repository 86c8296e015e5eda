"""Every kind of damage to a store is found, one file at a time; and no verb fails but with an error that has a name."""

import contextlib
import fnmatch
import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import disks
from tests.hostile.corpus import extension, record
from tests.samples import Sample, put
from tests.tars import directory, file, symlink, tar, whiteout

from lamina.archive.load import load
from lamina.archive.save import Wanted, save
from lamina.errors import LaminaError
from lamina.events import ignore
from lamina.oci import digest, reference
from lamina.oci.manifest import Descriptor
from lamina.snapshot import probe
from lamina.store import lifecycle
from lamina.store.check import check
from lamina.store.names import find, name_image
from lamina.store.store import Store

pytestmark = [pytest.mark.root, pytest.mark.overlay]

BASE = Sample([tar(directory("d"), file("d/a", b"content of a"))], ["base:1"])
HOLES = extension(b"x", record(b"GNU.sparse.size", b"9000") + record(b"GNU.sparse.map", b"0,512"))
HOLES += tar(file("f", b"x" * 512), form=tarfile.USTAR_FORMAT, end=b"")
"""A member that the driver erofs cannot leave in its tar."""
TOP = Sample(
    [*BASE.layers, HOLES + tar(whiteout("gone"), file("b", b"content of b"), directory("e"))], ["top:1", "top:2"]
)
CONTAINER = "c" * 64
DRIVERS = probe.DRIVERS

UNSEEN = (
    "lamina/lock",  # a file without content
    "lamina/index/*",  # made anew when it is not what it should be
    "lamina/events/*",  # news, and no state
    "*/lastUpdated",  # a date
    "*/builtLocally",  # its absence is no error
    "vfs/dir/*/d/a",  # in vfs, a tree has copies of files of the layers below
    "overlay2/*/diff/f",  # a file with holes, whose bytes are in the record of its tar
    "vfs/dir/*/f",  # likewise
)
"""What may be changed in any way, as far as anybody can tell."""
OPTIONAL = (
    "*/imagedb/metadata/*/parent",
    "image/vfs/layerdb/mounts/*/parent",
    "image/erofs/layerdb/*/crc64",
    "lamina/content/names/*",
)
"""What may be absent."""
A_NUMBER = ("image/vfs/*/size",)
"""What may be another number: a tree of vfs has the files below it too."""


def make(root: str, driver: str) -> Store:
    store = Store(root, driver)
    put(store, BASE)
    put(store, TOP)
    document = Descriptor("application/json", digest.of(b"{}"), 2)
    store.content.push(document, io.BytesIO(b"{}"))
    store.content.tag(document, "kept")
    with store.writing() as lease:
        store.mounts.create(lease, CONTAINER, store.layers.get(BASE.chain_ids[0]), lambda _: None)
        store.images.set_parent(TOP.id, BASE.id)
        store.images.set_built_locally(TOP.id)
        store.steps.rebuild()
    return store


@pytest.fixture(scope="module", params=DRIVERS)
def template(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The root of a small store in memory, and its driver."""
    with disks.memory(request.param) as folder:
        make(f"{folder}/root", request.param)
        yield f"{folder}/root", request.param


@contextlib.contextmanager
def copied(template: tuple[str, str]) -> Iterator[Store]:
    """Open a copy of a store, that is gone after the block."""
    root = f"{template[0]}-copy"
    subprocess.run(["cp", "-a", template[0], root], check=True)
    try:
        yield Store(root)
    finally:
        subprocess.run(["rm", "-r", root], check=True)


def _places(root: str) -> list[str]:
    """Return the files and links of a store whose damage counts, relative to its root."""
    found = [os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names]
    return sorted(path for path in found if not _fits(path, UNSEEN))


def flip(path: str) -> None:
    with open(path, "r+b") as f:
        data = f.read()
        at = len(data) // 2
        f.seek(at)
        f.write(bytes([data[at] ^ 1]))


def shorten(path: str) -> None:
    os.truncate(path, os.path.getsize(path) // 2)


def turn_into_a_folder(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)


def empty(path: str) -> None:
    os.truncate(path, 0)


DAMAGES: list[Callable[[str], None]] = [flip, shorten, empty, os.unlink, turn_into_a_folder]


def use(store: Store) -> None:
    """Try every verb; only errors with names come out."""
    archive = io.BytesIO()
    verbs: list[Callable[[], object]] = [
        lambda: find(store, "top:1"),
        lambda: find(store, digest.encoded(TOP.id)[:12]),
        lambda: store.images.get(TOP.id),
        lambda: store.images.parent(TOP.id),
        store.references.all,
        lambda: store.layers.chain(TOP.chain_ids[1]),
        lambda: store.mounts.get(CONTAINER),
        lambda: list(store.mounts.changes(store.mounts.get(CONTAINER), store.layers.get(BASE.chain_ids[0]))),
        lambda: store.content.resolve("kept"),
        lambda: save(store, [Wanted(TOP.id, [reference.parse("top:1")])], archive),
        lambda: load(store, io.BytesIO(archive.getvalue()), "archive", ignore),
        lambda: name_image(store, reference.parse("new:1"), TOP.id),
        store.recover,
        lambda: put(store, TOP),
        lambda: _delete(store, TOP),
        lambda: _delete(store, BASE),
        lambda: list(check(store, ignore)),
    ]
    for verb in verbs:
        with contextlib.suppress(LaminaError):
            verb()


def _delete(store: Store, sample: Sample) -> None:
    with store.writing() as lease:
        store.references.remove(*store.references.of(sample.id))
        lifecycle.delete(store, lease, sample.id)


def test_a_good_store_is_good(template: tuple[str, str]) -> None:
    with copied(template) as store:
        assert list(check(store, ignore)) == []
        assert {path.split("/")[0] for path in _places(store.paths.root)} == {"image", "lamina", template[1]}


def _fits(place: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch(place, pattern) for pattern in patterns)


def damaged(root: str, damage: Callable[[str], None]) -> Iterator[str]:
    """Yield the files and links of a store, relative to its root, that can be damaged in a way."""
    for place in _places(root):
        path = os.path.join(root, place)
        if os.path.islink(path) and damage not in (os.unlink, turn_into_a_folder):
            continue
        if damage in (flip, shorten, empty) and not os.path.getsize(path):
            continue
        if not _fits(place, OPTIONAL if damage is os.unlink else A_NUMBER if damage in (flip, shorten) else ()):
            yield place


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_to_any_file_is_found(template: tuple[str, str], damage: Callable[[str], None]) -> None:
    root, _ = template
    missed: list[str] = []
    for place in damaged(root, damage):
        with copied(template) as store:
            damage(os.path.join(store.paths.root, place))
            said = list(check(store, ignore))
            assert all("\n" not in line for line in said)
            if not said:
                missed.append(place)
            use(store)
    assert missed == []


@pytest.mark.parametrize("driver", ["overlay2", "erofs"])
@pytest.mark.parametrize(("size", "is_right"), [(9, True), (7, True), (8, False)])
def test_a_size_is_that_of_files_and_links_or_of_contents(
    tmp_path: Path, driver: str, size: int, *, is_right: bool
) -> None:
    """Docker's graph driver counts a link as its text; what BuildKit made in dockerd is as large as its contents."""
    linked = Sample([tar(file("a", b"content"), symlink("l", "to"))], ["linked:1"])
    store = Store(str(tmp_path / "root"), driver)
    put(store, linked)
    Path(store.layers._paths.layer(linked.chain_ids[0]), "size").write_text(str(size))
    assert (not list(check(store, ignore))) == is_right


@pytest.mark.parametrize("link", ["nowhere", "../..", "/etc"])
def test_a_short_name_that_leads_elsewhere(tmp_path: Path, link: str) -> None:
    store = make(str(tmp_path / "root"), "overlay2")
    folder = tmp_path / "root/overlay2/l"
    for name in os.listdir(folder):
        (folder / name).unlink()
        (folder / name).symlink_to(link)
    assert len(list(check(store, ignore))) >= 3
    use(store)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("stray", "line"),
    [
        ("{driver_folder}/" + "a" * 64 + "/", "belongs to nothing"),
        ("image/{driver}/layerdb/tmp/write-set-1/", "was left behind"),
        ("image/{driver}/layerdb/sha256/" + "a" * 64 + "-12-removing/", "was left behind"),
        ("image/{driver}/imagedb/metadata/sha256/" + "a" * 64 + "/", "which does not exist"),
        ("lamina/tmp/abc/", "was left behind"),
        ("image/{driver}/layerdb/sha256/" + "a" * 64 + "/", "is damaged"),
    ],
)
def test_what_belongs_to_nothing_is_named(tmp_path: Path, driver: str, stray: str, line: str) -> None:
    store = make(str(tmp_path / "root"), driver)
    folder = "vfs/dir" if driver == "vfs" else driver
    os.makedirs(os.path.join(store.paths.root, stray.format(driver=driver, driver_folder=folder)))
    assert any(line in said for said in check(store, ignore))


def test_an_image_whose_layer_is_missing(tmp_path: Path) -> None:
    store = make(str(tmp_path / "root"), "vfs")
    with store.writing() as lease:
        for chain_id in TOP.chain_ids:
            store.layers.finish(lease, store.layers.retire(lease, chain_id))
    said = list(check(store, ignore))
    assert any(f"its layer {TOP.chain_ids[1]} (diff id {digest.of(TOP.layers[1])}) is missing" in line for line in said)
    assert any("container cccccccccccc" in line for line in said)


def test_a_name_in_the_wrong_place(tmp_path: Path) -> None:
    store = make(str(tmp_path / "root"), "vfs")
    path = Path(store.paths.image("vfs"), "repositories.json")
    path.write_text(path.read_text().replace('"base":', '"case":'))
    assert any("base:1" in line for line in check(store, ignore))


def test_what_a_live_process_makes_is_passed_over(tmp_path: Path) -> None:
    store = make(str(tmp_path / "root"), "overlay2")
    other = Store(store.paths.root)
    with store.writing() as lease, store.temporary_folder(lease):
        store.layers.prepare(lease, io.BytesIO(tar(file("x"))))
        store.layers.register(lease, io.BytesIO(tar(file("y"))))
        assert list(check(other, ignore)) == []


def test_without_content_only_descriptions_are_read(tmp_path: Path) -> None:
    store = make(str(tmp_path / "root"), "vfs")
    with store.driver.open(store.layers.get(BASE.chain_ids[0]).cache_id) as root:
        Path(f"/proc/self/fd/{root.fd}/d/a").write_bytes(b"other")
    assert list(check(store, ignore, content=False)) == []
    assert len(list(check(store, ignore))) >= 1
