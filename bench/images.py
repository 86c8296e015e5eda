"""Images for benchmarks and tests, the same bytes on every run: `python -m bench.images app|tiny|huge OUTPUT`.

All are docker-archives in the layout that every tool loads:

    1/layer.tar … 10/layer.tar
    <image id>.json             config
    manifest.json

`tiny` is Debian's static busybox with a link for each applet. `app` looks like an application on a distribution:

     1  a Debian root, made once with debootstrap and kept in a cache folder
     2  20,000 small files in 200 directories
     3  one file of 100 MB
    4-10  600 files each

`huge` has one layer, a file of 1 GB; `many` is an archive of very many images on `tiny`. `layered` has many layers on
`tiny`, `crowded` one of many files, and images that are `apart` share nothing.

Half of every made-up file is random, half compresses well. Randomness is SHAKE-128 of the file's name, times are a
constant, entries are sorted by name: `tiny` is a function of the busybox, `app` of the Debian root. Of this root, what
tells of the machine and the moment that made it is left out.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import BinaryIO

import msgspec

from lamina.files import replacing

RELEASE = "bookworm"
EPOCH = 1704067200  # 2024-01-01T00:00:00Z, the time of all
CREATED = "2024-01-01T00:00:00Z"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Member = tuple[tarfile.TarInfo, Iterable[bytes]]
Step = tuple[str, Callable[[], Iterator[Member]]]
"""What the history says of a layer, and what is in it."""

_TRANSIENT = re.compile(
    rb"etc/(hostname|resolv\.conf)|var/log/.*\.log|var/cache/(ldconfig/aux-cache|apt/archives/.*\.deb)"
)


class Layer(msgspec.Struct, frozen=True):
    """One layer of an image: its diff id, the size of its tar, and the entries in that."""

    diff_id: str
    size: int
    entries: int
    created_by: str


class Image(msgspec.Struct, frozen=True):
    """An image in an archive: where that is, its digest and size, and what it holds."""

    path: str
    digest: str
    size: int
    reference: str
    id: str
    layers: tuple[Layer, ...]


def tiny(output: str) -> Image:
    """Write the image `tiny:1` to the file `output`, whole or not at all.

    Raises:
        RuntimeError: there is no busybox here, or not the static one.
    """
    return _write(output, "tiny:1", [("busybox", _busybox)])


def app(output: str, root: str, share: float = 1) -> Image:
    """Write the image `app:1` over the file tree `root` to the file `output`, whole or not at all.

    A `share` below 1 makes everything but the root smaller: 0.01 has 200 small files, and one of 1 MB.
    """
    small, big, release = (round(count * share) for count in (100, 100, 600))
    steps: list[Step] = [
        (f"debootstrap {RELEASE}", partial(tree, root)),
        ("small files", partial(_files, "srv/small", 200, small, 100, 9900)),
        ("one big file", partial(_big, "srv/big.dat", big)),
    ]
    steps += [(f"release {n}", partial(_files, f"opt/release-{n}", 1, release, 1000, 20000)) for n in range(1, 8)]
    return _write(output, "app:1", steps)


def huge(output: str, share: float = 1) -> Image:
    """Write the image `huge:1`, one file of 1 GB or of a share of that, to the file `output`, whole or not at all."""
    return _write(output, "huge:1", [("one huge file", partial(_big, "srv/huge.dat", round(1000 * share)))])


def layered(output: str, layers: int) -> Image:
    """Write the image `layered:1` to the file `output`: `tiny`, and layers of ten small files each on top of it.

    Raises:
        RuntimeError: see `tiny`.
    """
    steps: list[Step] = [("busybox", _busybox)]
    steps += [(f"layer {n}", partial(_files, f"srv/layer-{n}", 1, 10, 100, 2000)) for n in range(1, layers)]
    return _write(output, "layered:1", steps)


def crowded(output: str, files: int) -> Image:
    """Write the image `crowded:1` to the file `output`: `tiny`, and a layer of files, a hundred in each directory.

    Raises:
        RuntimeError: see `tiny`.
    """
    crowd = partial(_files, "srv/crowd", files // 100, 100, 100, 1900)
    return _write(output, "crowded:1", [("busybox", _busybox), (f"{files} files", crowd)])


def apart(output: str, number: int, megabytes: int) -> Image:
    """Write the image `apart-NUMBER:1` to the file `output`: one big file and 600 small ones, no other's."""
    steps: list[Step] = [
        ("one big file", partial(_big, f"srv/{number}.dat", megabytes)),
        ("small files", partial(_files, f"opt/{number}", 1, 600, 1000, 20000)),
    ]
    return _write(output, f"apart-{number}:1", steps)


def many(output: str, count: int) -> None:
    """Write the images `many-0:1` and so on to the file `output`, whole or not at all.

    Each has a small layer of its own on the one of `tiny`, which is in the archive too and noted as the parent of all.

    Raises:
        RuntimeError: see `tiny`.
    """
    busybox = b"".join(_tar(_busybox()))
    base = [Layer(_digest(busybox), len(busybox), 0, "busybox")]
    members, manifest = [_file("base.tar", busybox)], []
    parent: dict[str, str] = {}
    for number in range(-1, count):
        own = b"".join(_tar([_file(f"srv/{number}", b"%d" % number)]))
        layers = [*base, Layer(_digest(own), len(own), 1, f"number {number}")] if number >= 0 else base
        config = _json(_config(layers))
        members += [_file(f"{number}.json", config), _file(f"{number}.tar", own)]
        names = ["base.tar", f"{number}.tar"][: len(layers)]
        tag = f"many-{number}:1" if number >= 0 else "tiny:1"
        manifest.append({"Config": f"{number}.json", "RepoTags": [tag], "Layers": names} | parent)
        parent = parent or {"Parent": _digest(config)}
    with replacing(os.path.abspath(output)) as file:
        for data in _tar([*members, _file("manifest.json", _json(manifest))]):
            file.write(data)


def debian(cache: str | None = None, mirror: str | None = None) -> str:
    """Return the folder of a minimal Debian root; debootstrap makes it the first time, from apt's mirror.

    It is kept in `cache`, by default `lamina-bench` in the user's cache folder. Two runs never make it at once.

    Raises:
        RuntimeError: debootstrap fails, or apt knows no mirror of the release and none is given.
    """
    cache = cache or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lamina-bench")
    os.makedirs(cache, exist_ok=True)
    root = os.path.join(cache, f"debian-{RELEASE}-{architecture()}")
    with open(f"{root}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(root):
            _debootstrap(root, mirror or _mirror())
    return root


def architecture() -> str:
    """Return the host's architecture as images name it."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def tree(root: str) -> Iterator[Member]:
    """Yield the files below a folder as entries of a layer: owners, modes, links and devices as they are."""
    seen: dict[tuple[int, int], str] = {}
    pending = [""]
    while pending:
        name = pending.pop()
        path = os.path.join(root, name)
        status = os.lstat(path)
        if stat.S_ISDIR(status.st_mode):
            pending.extend(
                os.path.join(name, inner) for inner in sorted(os.listdir(path), key=os.fsencode, reverse=True)
            )
        if not name or stat.S_ISSOCK(status.st_mode) or _TRANSIENT.fullmatch(os.fsencode(name)):
            continue
        info = _info(name, status)
        first = seen.setdefault((status.st_dev, status.st_ino), name)
        if stat.S_ISREG(status.st_mode) and first != name:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, first, 0
        elif info.issym():
            info.linkname = os.readlink(path)
        yield info, _content(path) if info.isreg() else ()


def _info(name: str, status: os.stat_result) -> tarfile.TarInfo:
    kinds = {
        stat.S_IFREG: tarfile.REGTYPE,
        stat.S_IFDIR: tarfile.DIRTYPE,
        stat.S_IFLNK: tarfile.SYMTYPE,
        stat.S_IFCHR: tarfile.CHRTYPE,
        stat.S_IFBLK: tarfile.BLKTYPE,
        stat.S_IFIFO: tarfile.FIFOTYPE,
    }
    info = _entry(name, kinds[stat.S_IFMT(status.st_mode)], stat.S_IMODE(status.st_mode))
    info.uid, info.gid = status.st_uid, status.st_gid
    info.size = status.st_size if info.isreg() else 0
    if info.isdev() and not info.isfifo():
        info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return info


def _content(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            yield data


def _busybox() -> Iterator[Member]:
    path = shutil.which("busybox", path=PATH)
    if not path:
        raise RuntimeError("no busybox here: install Debian's busybox-static")
    with open(path, "rb") as file:
        program = file.read()
    if b"/ld-linux" in program[:4096]:
        raise RuntimeError(f"{path} is not static: install Debian's busybox-static")
    applets = subprocess.run([path, "--list"], capture_output=True, text=True, check=True).stdout.split()
    yield _directory("bin")
    yield _file("bin/busybox", program, 0o755)
    for applet in sorted(set(applets) - {"busybox"}):
        yield _symlink(f"bin/{applet}", "/bin/busybox")
    yield _directory("etc")
    yield _file("etc/group", b"root:x:0:\n")
    yield _file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    yield _directory("root", 0o700)
    yield _directory("tmp", 0o1777)


def _files(folder: str, directories: int, files: int, least: int, most: int) -> Iterator[Member]:
    """Yield files of `least` to `most` bytes, as many in each of several directories."""
    for number in range(len(folder.split("/"))):
        yield _directory("/".join(folder.split("/")[: number + 1]))
    width = len(str(directories - 1))
    for outer in range(directories):
        inside = f"{folder}/{outer:0{width}}" if directories > 1 else folder
        if inside != folder:
            yield _directory(inside)
        for inner in range(files):
            name = f"{inside}/{inner:03}"
            yield _file(name, half_random(name, least + _number(name) % (most - least + 1)))


def _big(name: str, megabytes: int) -> Iterator[Member]:
    """Yield one file of many million bytes."""
    info = _entry(name, tarfile.REGTYPE, 0o644)
    info.size = megabytes * 1_000_000
    yield _directory(os.path.dirname(name))
    yield info, (half_random(f"{name} {number}", 1_000_000) for number in range(megabytes))


def half_random(name: str, size: int) -> bytes:
    """Return bytes that a name determines: 512 random ones, 512 times the same, and so on."""
    random = hashlib.shake_128(name.encode()).digest(size // 1024 * 512 + min(size % 1024, 512))
    same = bytes([65 + _number(name) % 26]) * 512
    return b"".join(random[at : at + 512] + same for at in range(0, len(random), 512))[:size]


def _number(name: str) -> int:
    return int.from_bytes(hashlib.shake_128(b"number " + name.encode()).digest(4), "big")


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, EPOCH
    return info


def _directory(name: str, mode: int = 0o755) -> Member:
    return _entry(name, tarfile.DIRTYPE, mode), ()


def _symlink(name: str, target: str) -> Member:
    info = _entry(name, tarfile.SYMTYPE, 0o777)
    info.linkname = target
    return info, ()


def _file(name: str, data: bytes, mode: int = 0o644) -> Member:
    info = _entry(name, tarfile.REGTYPE, mode)
    info.size = len(data)
    return info, (data,)


def _write(output: str, reference: str, steps: list[Step]) -> Image:
    output = os.path.abspath(output)
    with replacing(output) as file:
        layers = []
        for number, (created_by, members) in enumerate(steps, 1):
            layers.append(_layer(file, f"{number}/layer.tar", created_by, members()))
        config = _json(_config(layers))
        digest = hashlib.sha256(config).hexdigest()
        names = [f"{number}/layer.tar" for number in range(1, len(steps) + 1)]
        manifest = [{"Config": f"{digest}.json", "RepoTags": [reference], "Layers": names}]
        for data in _tar([_file(f"{digest}.json", config), _file("manifest.json", _json(manifest))]):
            file.write(data)
    with open(output, "rb") as written:
        archive = hashlib.file_digest(written, "sha256").hexdigest()
        return Image(output, f"sha256:{archive}", written.tell(), reference, f"sha256:{digest}", tuple(layers))


def _layer(file: BinaryIO, name: str, created_by: str, members: Iterator[Member]) -> Layer:
    """Write a layer as an entry of the archive; its size is known at its end, so its header is written then."""
    start = file.tell()
    file.write(bytes(tarfile.BLOCKSIZE))
    content, size, entries = hashlib.sha256(), 0, 0

    def counted() -> Iterator[Member]:
        nonlocal entries
        for member in members:
            entries += 1
            yield member

    for data in _tar(counted()):
        content.update(data)
        size += file.write(data)
    info = _entry(name, tarfile.REGTYPE, 0o644)
    info.size = size
    file.seek(start)
    file.write(info.tobuf(tarfile.USTAR_FORMAT))
    file.seek(0, os.SEEK_END)
    return Layer(f"sha256:{content.hexdigest()}", size, entries, created_by)


def _tar(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield the bytes of a tar: a multiple of its blocks, also of those in an archive."""
    for info, content in members:
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        size = 0
        for data in content:
            size += len(data)
            yield data
        if size != info.size:
            raise RuntimeError(f"{info.name} has changed: {size} bytes, not {info.size}")
        yield bytes(-size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _config(layers: list[Layer]) -> dict[str, object]:
    return {
        "architecture": architecture(),
        "os": "linux",
        "created": CREATED,
        "config": {"Env": [f"PATH={PATH}"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": CREATED, "created_by": layer.created_by} for layer in layers],
    }


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _mirror() -> str:
    """Return the mirror that apt takes the release from."""
    command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    for line in known:
        codename, _, uri = line.partition(" ")
        if codename == RELEASE:
            return uri
    raise RuntimeError(f"apt has no mirror of Debian {RELEASE}: name one with --mirror")


def _debootstrap(root: str, mirror: str) -> None:
    """Make a Debian root, whole or not at all; what debootstrap mounts goes away with its mount namespace."""
    shutil.rmtree(f"{root}.new", ignore_errors=True)
    command = ["unshare", "--mount", "debootstrap", "--variant=minbase", RELEASE, f"{root}.new", mirror]
    environment = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    environment.update(PATH=PATH, LANG="C.UTF-8", DEBIAN_FRONTEND="noninteractive")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    if done.returncode:
        raise RuntimeError("debootstrap failed:\n" + "\n".join(done.stdout.splitlines()[-5:]))
    os.rename(f"{root}.new", root)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.images", description="Make an image for benchmarks.")
    parser.add_argument("image", choices=("app", "tiny", "huge"))
    parser.add_argument("output", help="the docker-archive to write")
    parser.add_argument("--cache", help="folder that keeps the Debian root (default: lamina-bench in the cache folder)")
    parser.add_argument("--mirror", help="Debian mirror to make it from (default: apt's)")
    args = parser.parse_args()
    start = time.perf_counter()
    try:
        if args.image == "app":
            image = app(args.output, debian(args.cache, args.mirror))
        else:
            image = {"tiny": tiny, "huge": huge}[args.image](args.output)
    except (OSError, RuntimeError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    for layer in image.layers:
        print(f"{layer.diff_id}  {layer.size / 1e6:9.3f} MB  {layer.entries:6} entries  {layer.created_by}")
    print(f"{image.id}  {sum(layer.size for layer in image.layers) / 1e6:9.3f} MB  {image.reference}")
    print(f"{image.digest}  {image.size / 1e6:9.3f} MB  {image.path}  ({time.perf_counter() - start:.1f} s)")


if __name__ == "__main__":
    main()
