"""Readers of what strangers write, each as a function of bytes that must end well or in an error of our taxonomy.

A target asserts besides what holds of all that is read: a round trip, or a rule of its format.
"""

import contextlib
import functools
import gzip
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tests import samples, tars
from tests.fuzz import registry
from tests.samples import Sample

from lamina import sealed
from lamina.archive.docker import MANIFEST, DockerArchive
from lamina.archive.load import load
from lamina.archive.members import Tarball
from lamina.archive.oci import OciArchive
from lamina.compression import decompressed
from lamina.containers import logs
from lamina.containers.files import Merge
from lamina.containers.records import Records
from lamina.dockerfile import parser
from lamina.dockerfile.ignore import Ignore
from lamina.erofs.reader import Image, Inode
from lamina.errors import LaminaError
from lamina.events import ignore as unheard
from lamina.files import remove_tree
from lamina.images.references import References
from lamina.oci import config, manifest, platform, reference
from lamina.remote import headers, origins
from lamina.remote import settings as remote_settings
from lamina.remote.credentials import Credential
from lamina.remote.dockerconfig import DockerConfig
from lamina.remote.origins import Origin
from lamina.remote.tokens import Authorizer
from lamina.render import template
from lamina.runtime import users
from lamina.snapshot.erofs import Erofs
from lamina.store.check import check
from lamina.store.store import Store
from lamina.streams import chunks
from lamina.tar import split
from lamina.tar.apply import apply
from lamina.tar.reader import Reader
from lamina.tar.root import Breakout, NotBelow, Root, clean, open_regular

DATA = Path(__file__).parent.parent / "data"
_MOST = 4 << 20  # bytes that are read of what may be a bomb
_ID = "0" * 64


class Target(NamedTuple):
    """A function of bytes, and what to begin with."""

    run: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


@functools.cache
def _folder() -> str:
    """Return a folder of this process, which is gone with it."""
    place = tempfile.TemporaryDirectory(dir="/dev/shm", prefix="fuzz")
    _kept.append(place)
    return place.name


_kept: list[object] = []


@contextlib.contextmanager
def _tree() -> Iterator[str]:
    path = os.path.join(_folder(), "tree")
    os.mkdir(path)
    try:
        yield path
    finally:
        remove_tree(path)


def tar(data: bytes) -> None:
    """Unpack a layer, and put the very bytes together again."""
    file = io.BytesIO()
    with _tree() as path, Root(path) as root, split.Recorder(file, _folder()) as recorder:
        apply(Reader(io.BytesIO(data), recorder), root, Merge(), recorder, privileged=False)
        recorder.finish()
        file.seek(0)
        root.forget()
        assert b"".join(split.assemble(file, lambda name: _open(root, name))) == data


def index(data: bytes) -> None:
    """Take a layer in without unpacking it, and read all of its image back."""
    with _tree() as path:
        driver = Erofs(path)
        driver.create("a", None)
        size = driver.commit("a", None, driver.apply("a", io.BytesIO(data)))
        with driver.tar("a") as kept:
            assert kept.read() == data
        assert list(driver.check("a", None)) == []
        with Image(os.path.join(path, "a", "layer.erofs")) as image:
            assert sum({inode.number: inode.size for inode in _files(image)}.values()) == size


def _files(image: Image) -> Iterator[Inode]:
    """Yield the files and links of an image, each of whose contents is where the image says."""
    folders = [image.root]
    for folder in folders:
        names = []
        for name, inode in image.names(folder):
            names.append(name)
            image.xattrs(inode)
            if inode.is_directory:
                folders.append(inode)
            elif inode.is_symlink:
                assert len(image.target(inode)) == inode.size
                yield inode
            elif inode.is_regular:
                for _, length, device, position in image.pieces(inode):
                    assert position + length <= image.devices[device - 1].blocks * 512
                yield inode
        assert names == sorted(names)


def _open(root: Root, name: bytes) -> int:
    try:
        folder, last = root.parent(clean(name))
    except (NotBelow, Breakout) as error:
        raise FileNotFoundError(2, "gone") from error
    return open_regular(folder, last)


def tar_split(data: bytes) -> None:
    """Read a record of a tar, whose files are all missing; its size is that of what comes."""
    expected = split.size(io.BytesIO(data))
    assert sum(map(len, split.assemble(io.BytesIO(data), _absent))) == expected


def _absent(name: bytes) -> int:
    clean(name)
    raise FileNotFoundError(2, "gone")


def dockerfile(data: bytes) -> None:
    """Read a Dockerfile."""
    assert parser.parse(data).stages


def dockerignore(data: bytes) -> None:
    """Read an ignore file, and ask it."""
    rules = Ignore.parse(data)
    for path in ("a", "a/b/c", ".dockerignore", "x y/[z]"):
        rules.excludes(path)


def reference_(data: bytes) -> None:
    """Read a name of an image, which reads the same when it is written."""
    found = reference.parse(data.decode("utf-8", "surrogateescape"))
    assert reference.parse(str(found)) == found
    if found.path != f"library/{found.familiar}":  # 64 digits and nothing else are an id, as in docker
        assert reference.parse(found.familiar) == found


def image_config(data: bytes) -> None:
    """Read a config, and all that lists show of it."""
    image = config.parse(data)
    assert str(image.platform) is not None
    assert len(image.steps) >= 0
    assert image.run is not None


def image_manifest(data: bytes) -> None:
    """Read a manifest or an index."""
    assert manifest.children(manifest.parse(data)) is not None


class _Files:
    """Members in memory: all names that are asked for have the same content (the contract of `members.Members`)."""

    where = "archive"

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __contains__(self, name: str) -> bool:
        return bool(name)

    def size(self, name: str) -> int:
        return len(self._data)

    def open(self, name: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def archive_list(data: bytes) -> None:
    """Read manifest.json of an archive, whose configs are that file too."""
    source = DockerArchive(_Files(data))
    for item in source.items():
        source.manifest(item)


def archive_index(data: bytes) -> None:
    """Read index.json of an archive, whose manifests are that file too."""
    for found in OciArchive(_Files(data)).images(platform.Platform("amd64", "linux")):
        assert found.documents


def archive(data: bytes) -> None:
    """Read a tar as an archive of images."""
    with _file(data) as file:
        members = Tarball(file, "archive")
        source = DockerArchive(members)
        for item in source.items() if MANIFEST in members else ():
            source.manifest(item)
        for _ in OciArchive(members).images(platform.Platform("amd64", "linux")):
            pass


def load_archive(data: bytes) -> None:
    """Take an archive into a store, which is sound afterwards."""
    store = _store()
    try:
        with _file(data) as file:
            load(store, file, "archive", unheard)
    finally:
        assert list(check(store, unheard, content=False)) == []
        assert os.listdir(store.paths.tmp) == []


@functools.cache
def _store() -> Store:
    return Store(os.path.join(_folder(), "store"), "vfs")


@contextlib.contextmanager
def _file(data: bytes) -> Iterator[BinaryIO]:
    path = os.path.join(_folder(), "file")
    Path(path).write_bytes(data)
    with open(path, "rb") as file:
        yield file


def record(data: bytes) -> None:
    """Read a container's record, state and monitor."""
    home = os.path.join(_folder(), "containers")
    records = Records(home)
    paths = records._paths
    os.makedirs(records.folder(_ID), exist_ok=True)
    for path in (paths.record(_ID), paths.state(_ID), paths.monitor(_ID)):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_bytes(sealed.seal(data))
    assert records.state(_ID).status is not None
    records.monitor(_ID)
    for _ in records.mounted():
        pass
    records.get(_ID)


def repositories(data: bytes) -> None:
    """Read the names of a store, and write them."""
    path = os.path.join(_folder(), "repositories.json")
    Path(path).write_bytes(data)
    found = References(path)
    for _ in found.check():
        pass
    names = found.all()
    found.remove("nobody:1")
    assert found.all().items() <= names.items()


def log(data: bytes) -> None:
    """Read what a container printed."""
    for entry in logs._parsed(io.BytesIO(data)):
        assert entry.when


def format_(data: bytes) -> None:
    """Read a template, and render it; what large numbers ask for, whoever writes the template gets."""
    if any(len(digits) > 4 for digits in re.findall(rb"[0-9_]+", data)):
        return
    found = template.parse(data.decode("utf-8", "replace"))
    found.render({"S": "text", "L": [1, 2], "M": {"a": {"b": None}}, "N": 3})


def compressed(data: bytes) -> None:
    """Read a stream of any compression."""
    left = _MOST
    for piece in chunks(decompressed(io.BytesIO(data))):
        left -= len(piece)
        if left < 0:
            return


def passwd(data: bytes) -> None:
    """Find users in the files of a tree."""
    with _tree() as path, Root(path) as root:
        os.mkdir(os.path.join(path, "etc"))
        for name in ("passwd", "group"):
            Path(path, "etc", name).write_bytes(data)
        for text in ("root", "1000", "nobody:root", ""):
            with contextlib.suppress(LaminaError):
                users.find(root, text)


def challenge(data: bytes) -> None:
    """Read how a registry wants to know who we are, and give it a token."""
    text = data.decode("latin-1")
    for one in headers.challenges(text):
        assert one.scheme == one.scheme.lower()
        assert all(name == name.lower() for name in one.parameters)
    registry = Origin("https", "registry.example", 443)
    given = Authorizer(registry, lambda: Credential("me", "secret"), lambda _: b'{"token":"t"}')
    said = given.answer(text, frozenset({"repository:a:pull"}), "")
    assert said in ("Bearer t", "Basic bWU6c2VjcmV0")
    assert "secret" not in said


def token(data: bytes) -> None:
    """Read what a realm gives, which goes into a header."""
    given = Authorizer(Origin("https", "h", 443), lambda: None, lambda _: data)
    said = given.answer('Bearer realm="https://h/token"', frozenset(), "")
    assert said.isascii()
    assert said.isprintable()


def link(data: bytes) -> None:
    """Read where the next page of a list is."""
    assert headers.next_page(data.decode("latin-1")) in data.decode("latin-1")


def ranges(data: bytes) -> None:
    """Read which bytes a registry sends or has, and how long it wants us to wait."""
    text = data.decode("latin-1")
    span = headers.content_range(text)
    assert span is None or 0 <= span.first <= span.last
    assert (headers.received(text) or 0) >= 0
    assert (headers.seconds(text, 1e9) or 0) >= 0


def location(data: bytes) -> None:
    """Read a URL that a registry sends us to, which is one of whom it leads to."""
    origin = origins.of_url(data.decode("utf-8", "surrogateescape"))
    assert origins.of_url(str(origin)) == origin


def docker_config(data: bytes) -> None:
    """Find credentials in Docker's file, and store some; a program that it names is not there."""
    path = os.path.join(_folder(), "config.json")
    Path(path).write_bytes(data)
    config = DockerConfig(path, {"PATH": _folder()})
    config.find("docker.io")
    config.store("h:5000", Credential("me", "secret"))
    assert config.find("h:5000") == Credential("me", "secret")
    assert config.erase("h:5000")


def daemon_json(data: bytes) -> None:
    """Read settings of registries, and go by them."""
    path = os.path.join(_folder(), "daemon.json")
    Path(path).write_bytes(data)
    found = remote_settings.read(path)
    if not any("/" in text for text in found.insecure):  # those make us ask for addresses
        assert origins.places("docker.io", found)[-1].schemes == ("https",)


def _tars() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return [data for data in tars.corpus(Path(folder)).values() if len(data) < 100_000]


def _splits() -> list[bytes]:
    found = []
    for data in (tars.tar(tars.file("a", b"x"), tars.file("a")), tars.tar(tars.file("\udcff"))):
        file = io.BytesIO()
        with split.Recorder(file, _folder()) as recorder:
            for _ in Reader(io.BytesIO(data), recorder):
                pass
            recorder.finish()
        found += [file.getvalue(), gzip.decompress(file.getvalue())]
    return found


_IMAGE = Sample([tars.tar(tars.file("a", b"x"))], ["a:1"], {"config": {"Env": ["A=b"]}, "history": [{"comment": "x"}]})


def _docker() -> dict[str, bytes]:
    return samples.docker_members(_IMAGE)


def _oci() -> dict[str, bytes]:
    return samples.oci_members(_IMAGE)


def _archives() -> list[bytes]:
    return [samples.archive(_docker()), samples.archive(_oci())]


def _texts(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(DATA.glob(pattern))]


def _words(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


_RECORD = (
    '{"id":"0","name":"a","created":"2026-01-01T00:00:00Z","image":"sha256:0","status":"exited","pid":1,"mounts":[]}'
)

_DOCKER_CONFIG = '{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6eA=="},"h:5000":{"identitytoken":"t"}},"credHelpers":{},"x":[1]}'

TARGETS = {
    "tar": Target(tar, _tars),
    "index": Target(index, _tars),
    "tar-split": Target(tar_split, _splits),
    "dockerfile": Target(dockerfile, lambda: _texts("dockerfile/*/Dockerfile")),
    "dockerignore": Target(dockerignore, _words("*\n!a/b\n# c\n**/x\n[a-z]?\\*\n", "\ufeff/a/../b\n!\n")),
    "reference": Target(reference_, _words("a", "localhost:5000/a/b:1", "a@sha256:" + _ID, "[::1]:5/a")),
    "config": Target(image_config, lambda: [_IMAGE.config]),
    "manifest": Target(image_manifest, lambda: [one for one in _oci().values() if b"schemaVersion" in one]),
    "archive-list": Target(archive_list, lambda: [_docker()[MANIFEST]]),
    "archive-index": Target(archive_index, lambda: [_oci()["index.json"]]),
    "archive": Target(archive, _archives),
    "load": Target(load_archive, _archives),
    "record": Target(record, _words(_RECORD)),
    "repositories": Target(repositories, _words('{"Repositories":{"a":{"a:1":"sha256:' + _ID + '"}}}')),
    "log": Target(log, _words("2026-01-01T00:00:00.5+00:00 stdout F text\n2026-01-01T00:00:00Z stderr P te")),
    "format": Target(format_, _words('{{.S}}{{range .L}}{{.}}{{end}}{{if eq .N 3}}{{json .M}}{{end}}')),
    "compressed": Target(
        compressed, lambda: [gzip.compress(b"x" * 99), *_texts("archive/*.gz"), b"BZh9", b"\x28\xb5\x2f\xfd\x00"]
    ),
    "challenge": Target(challenge, _words('Bearer realm="https://a/t",service="s",scope="x:y:pull"', "Basic realm=a")),
    "token": Target(token, _words('{"token":"abc","access_token":"abc","expires_in":300,"refresh_token":"r"}')),
    "link": Target(link, _words('</v2/a/tags/list?n=1&last=b>; rel="next"', '<x>; rel="prev", <y>; title=z; rel=next')),
    "ranges": Target(ranges, _words("bytes 5-9/10", "9 Sep 2001 01:47:00 GMT", "0-9", "120", "bytes 5-9/*")),
    "location": Target(location, _words("https://h:5000/v2/a/blobs/uploads/1?_state=x%3D", "http://[::1]:5/", "//h/x")),
    "docker-config": Target(docker_config, _words(_DOCKER_CONFIG, "{}")),
    "daemon-json": Target(daemon_json, _words('{"registry-mirrors":["https://m"],"insecure-registries":["h:5"]}')),
    "registry-request": Target(registry.request, lambda: registry.REQUESTS),
    "registry-claims": Target(registry.claims, lambda: [registry.CLAIMS]),
    "registry-manifest": Target(registry.manifest, lambda: [registry.MANIFEST]),
    "registry-state": Target(registry.state, _words(registry.STATE)),
    "registry-config": Target(registry.settings, lambda: [registry.CONFIGURATION]),
    "htpasswd": Target(registry.htpasswd, _words("# users\nann:$2y$05$" + "a" * 53 + "\n")),
    "passwd": Target(passwd, _words("root:x:0:0:root:/root:/bin/sh\nnobody:x:1000:1000:root:/:\n")),
}  # fmt: skip


def attempt(name: str, data: bytes) -> str:
    """Run a target; return why the input was refused, in one line, or nothing."""
    try:
        TARGETS[name].run(data)
    except LaminaError as error:
        text = str(error)
        assert len(text.splitlines()) <= 1 or name == "format", text  # Go shows a template as it was given
        text.encode("utf-8", "surrogateescape")
        return text
    return ""
