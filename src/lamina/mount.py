"""Union mounts as values, made detached from any place, or at one.

A detached mount is a descriptor: names are looked up below it with `dir_fd`, from any thread, and it is gone
with the descriptor, also when the process is killed. Where a program needs a path, the mount is attached inside
a `Namespace`, which nobody else sees and which ends with its thread.

Sources: mount(2), fsopen(2), fsconfig(2), move_mount(2), the kernel's overlayfs.rst.
"""

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Iterator

import msgspec

from . import sharing
from .errors import FailedPrecondition
from .files import libc
from .lock import lock_fd
from .namespaces import MountDenied, Namespace, call, check

_FSOPEN, _FSCONFIG, _FSMOUNT, _MOVE_MOUNT = 430, 431, 432, 429  # the same on all architectures
_SET_FLAG, _SET_STRING, _SET_FD, _CMD_CREATE = 0, 1, 5, 6
_CLOEXEC = 1
_ATTR_READONLY = 1
_EMPTY_PATH = 4
_AT_FDCWD = -100
_MNT_DETACH = 2
_MS_RDONLY, _MS_BIND, _MS_REC = 1, 4096, 16384
_OFF = ("index", "metacopy", "redirect_dir")
_MAX_DATA = 4095


class MountFailed(FailedPrecondition):
    """The kernel refused a mount; the message says which and why."""


class Image(msgspec.Struct, frozen=True):
    """An EROFS image in a file, and the files that its contents lie in, in the order of its devices."""

    path: str
    devices: tuple[str, ...] = ()


class Mount(msgspec.Struct, frozen=True):
    """What to mount: an overlay of directories and images, a single image, or, without `lowers`, the directory `upper`.

    Attributes:
        home: the folder that all other paths are relative to.
        lowers: read-only directories and images, the topmost first.
        upper: the writable directory; empty for a read-only overlay.
        work: an empty directory on the file system of `upper`.
        user_xattrs: keep the overlay's marks in `user.` attributes, as without privilege it must.
        holders: the folder where others say that they have images mounted; see `sharing`. Empty: all are mounted anew.
    """

    home: str
    lowers: tuple[str | Image, ...] = ()
    upper: str = ""
    work: str = ""
    user_xattrs: bool = False
    holders: str = ""


def detached(mount: Mount) -> int:
    """Mount without a place; return an O_PATH descriptor of the root, which the caller closes.

    Raises:
        MountDenied: the caller has no right to mount.
        MountFailed: the kernel refused.
    """
    try:
        if not mount.lowers:
            return _folder(mount, mount.upper)
        with _images(mount) as images:
            return _union(mount, images)
    except OSError as error:
        if not _may_be_old_kernel(mount, error):
            raise _refused(mount, error) from error
    with Namespace() as namespace:
        return namespace.run(_overlay_in_namespace, mount)


def attach(mount: Mount, path: str, place: str = "") -> None:
    """Mount at a directory, in the namespace of the calling thread.

    Args:
        mount: what.
        path: the directory.
        place: another, empty one. The images that an overlay joins are mounted there too, and others may share them
            for as long as the namespace is, or until `sharing.withdraw`; see `sharing`.

    Raises:
        MountDenied: the caller has no right to mount.
        MountFailed: the kernel refused.
    """
    try:
        if not mount.lowers:
            source = os.path.join(mount.home, mount.upper)
            check(libc().mount(os.fsencode(source), os.fsencode(path), None, _MS_BIND | _MS_REC, None))
            return
        with _images(mount, "" if _is_image(mount) else place) as images:
            fd = _union(mount, images)
        try:
            _move(fd, path)
        finally:
            os.close(fd)
    except OSError as error:
        if not _may_be_old_kernel(mount, error):
            raise _refused(mount, error) from error
        _overlay_by_text(mount, path)


def detach(path: str) -> None:
    """Unmount what is at a directory, with all below it, in the namespace of the calling thread; users keep it.

    Raises:
        OSError: nothing is mounted there.
    """
    check(libc().umount2(os.fsencode(path), _MNT_DETACH))


def _may_be_old_kernel(mount: Mount, error: OSError) -> bool:
    """Tell whether an overlay may work by mount(2) that did not by descriptors."""
    return bool(mount.lowers) and not _is_image(mount) and error.errno in (errno.ENOSYS, errno.EINVAL)


def _is_image(mount: Mount) -> bool:
    """Tell whether a mount is a single image: that needs no overlay."""
    return len(mount.lowers) == 1 and isinstance(mount.lowers[0], Image) and not mount.upper


def _options(mount: Mount) -> dict[str, str]:
    """Return the options of an overlay, without its layers.

    Images are file systems of their own. Programs that stay on one (find -xdev, tar --one-file-system) would leave out
    what is in them, if inodes did not get numbers of one space (xino).
    """
    options = dict.fromkeys(_OFF, "off")
    return {**options, "xino": "on"} if any(isinstance(lower, Image) for lower in mount.lowers) else options


def _folder(mount: Mount, path: str) -> int:
    return os.open(os.path.join(mount.home, path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _union(mount: Mount, images: dict[Image, int]) -> int:
    return images.popitem()[1] if _is_image(mount) else _overlay(mount, images)


@contextlib.contextmanager
def _images(mount: Mount, place: str = "") -> Iterator[dict[Image, int]]:
    """Yield mounts of a mount's images, clones of what others have or new ones; with a place they are there, too."""
    images = [lower for lower in mount.lowers if isinstance(lower, Image)]
    names = {sharing.name(_files(mount, image)): image for image in images} if mount.holders else {}
    opened: dict[Image, int] = {}
    try:
        with contextlib.ExitStack() as stack:
            _clone(mount, names, opened)
            missing = [image for image in images if image not in opened]
            if place and names and missing:
                stack.enter_context(_alone(mount, missing[-1]))
                _clone(mount, names, opened)
            for image in missing:
                if image not in opened:
                    opened[image] = _image(mount, image)
            if place and names:
                _hold(mount, {name: opened[image] for name, image in names.items()}, place)
        yield opened
    finally:
        for fd in opened.values():
            os.close(fd)


def _files(mount: Mount, image: Image) -> list[str]:
    return [os.path.join(mount.home, path) for path in (image.path, *image.devices)]


def _clone(mount: Mount, names: dict[str, Image], opened: dict[Image, int]) -> None:
    """Open what others have mounted."""
    missing = [name for name, image in names.items() if image not in opened]
    if missing:
        opened.update((names[name], fd) for name, fd in sharing.clones(mount.holders, missing).items())


@contextlib.contextmanager
def _alone(mount: Mount, lowest: Image) -> Iterator[None]:
    """Keep others from mounting images that they might share with us, the lowest of which is this.

    Who has a layer mounted has all below it: so the lowest that is missing is the same for all who miss the same.
    """
    fd = os.open(os.path.join(mount.home, lowest.path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        lock_fd(fd, fcntl.LOCK_EX, wait=True)
        yield
    finally:
        os.close(fd)


def _hold(mount: Mount, images: dict[str, int], place: str) -> None:
    """Attach images where others find them, for as long as the namespace of the calling thread is."""
    check(libc().mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, b"mode=700"))
    for name, fd in images.items():
        os.mkdir(path := os.path.join(place, name), 0o700)
        _move(fd, path)
    sharing.announce(mount.holders, threading.get_native_id(), place)


def _overlay(mount: Mount, images: dict[Image, int]) -> int:
    """Make an overlay whose layers are passed as descriptors, whatever the length of their paths (Linux 6.13).

    Of mounts that are attached nowhere it takes them since Linux 6.15.
    """
    opened = [call(_FSOPEN, b"overlay", _CLOEXEC)]

    def layer(key: bytes, source: str | Image) -> None:
        if isinstance(source, str):
            opened.append(_folder(mount, source))
        fd = opened[-1] if isinstance(source, str) else images[source]
        call(_FSCONFIG, opened[0], _SET_FD, key, None, fd)

    try:
        call(_FSCONFIG, opened[0], _SET_STRING, b"source", b"overlay", 0)
        for key, value in _options(mount).items():
            call(_FSCONFIG, opened[0], _SET_STRING, key.encode(), value.encode(), 0)
        if mount.user_xattrs:
            call(_FSCONFIG, opened[0], _SET_FLAG, b"userxattr", None, 0)
        for lower in mount.lowers:
            layer(b"lowerdir+", lower)
        if mount.upper:
            layer(b"upperdir", mount.upper)
            layer(b"workdir", mount.work)
        call(_FSCONFIG, opened[0], _CMD_CREATE, None, None, 0)
        return call(_FSMOUNT, opened[0], _CLOEXEC, 0 if mount.upper else _ATTR_READONLY)
    finally:
        for fd in opened:
            os.close(fd)


def _image(mount: Mount, image: Image) -> int:
    """Mount an image from its file (Linux 6.12); paths of any length are short by their descriptors."""
    opened = [call(_FSOPEN, b"erofs", _CLOEXEC)]
    try:
        opened.append(home := sharing.clone(mount.home))  # else the image would keep what it may be mounted below
        for number, path in enumerate((image.path, *image.devices)):
            key = b"device" if number else b"source"
            opened.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=home))
            call(_FSCONFIG, opened[0], _SET_STRING, key, b"/proc/self/fd/%d" % opened[-1], 0)
        call(_FSCONFIG, opened[0], _CMD_CREATE, None, None, 0)
        return call(_FSMOUNT, opened[0], _CLOEXEC, _ATTR_READONLY)
    finally:
        for fd in opened:
            os.close(fd)


def _move(fd: int, path: str) -> None:
    """Attach a mount at a directory."""
    call(_MOVE_MOUNT, fd, b"", _AT_FDCWD, os.fsencode(path), _EMPTY_PATH)


def _overlay_in_namespace(mount: Mount) -> int:
    """Make an overlay over a folder that its namespace does not miss; return a descriptor that outlives both."""
    _overlay_by_text(mount, "/dev")
    return os.open("/dev", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _overlay_by_text(mount: Mount, path: str) -> None:
    """Make an overlay by mount(2), with relative paths: their text must fit a page.

    The calling thread must not share its working directory: see `Namespace`.
    """
    try:
        if all(isinstance(lower, str) for lower in mount.lowers):
            os.chdir(mount.home)
            _mount_overlay(mount, path, [str(lower) for lower in mount.lowers])
        else:
            _overlay_of_images(mount, path)
    except OSError as error:
        raise _refused(mount, error) from error


def _overlay_of_images(mount: Mount, path: str) -> None:
    with _images(mount) as images, _scratch():  # the overlay has mounts of its own of what it joins
        names = {image: str(number) for number, image in enumerate(images)}
        for image, name in names.items():
            os.mkdir(name)
            _move(images[image], name)
        os.mkdir("home")
        check(libc().mount(os.fsencode(mount.home), b"home", None, _MS_BIND, None))
        lowers = [f"home/{lower}" if isinstance(lower, str) else names[lower] for lower in mount.lowers]
        _mount_overlay(mount, path, lowers, "home/")


@contextlib.contextmanager
def _scratch() -> Iterator[None]:
    """Work in an empty folder that is gone after the block, over `/proc` of this namespace."""
    check(libc().mount(b"tmpfs", b"/proc", b"tmpfs", 0, None))
    try:
        os.chdir("/proc")
        yield
    finally:
        os.chdir("/")
        detach("/proc")


def _mount_overlay(mount: Mount, path: str, lowers: list[str], home: str = "") -> None:
    """Make an overlay of directories, by paths from where we are; `home` leads to the mount's."""
    options = [f"{key}={value}" for key, value in _options(mount).items()] + ["userxattr"] * mount.user_xattrs
    options.append("lowerdir=" + ":".join(lowers))
    if mount.upper:
        options += [f"upperdir={home}{mount.upper}", f"workdir={home}{mount.work}"]
    data = ",".join(options).encode()
    if len(data) > _MAX_DATA:
        raise MountFailed(f"cannot mount {len(mount.lowers)} layers: this kernel takes no more than fit a page")
    check(libc().mount(b"overlay", os.fsencode(path), b"overlay", 0 if mount.upper else _MS_RDONLY, data))


def _refused(mount: Mount, error: OSError) -> MountDenied | MountFailed:
    if error.errno in (errno.EPERM, errno.EACCES):
        return MountDenied("mounting layers needs root (CAP_SYS_ADMIN)")
    if error.errno == errno.ENOTBLK:
        return MountFailed(
            f"cannot mount {len(mount.lowers)} layers of {mount.home}: "
            "its file system, or this kernel (before 6.12), takes no EROFS images from files; use another --root, "
            "or lamina system migrate --to overlay2"
        )
    what = f"{len(mount.lowers)} layers of {mount.home}" if mount.lowers else os.path.join(mount.home, mount.upper)
    return MountFailed(f"cannot mount {what}: {error.strerror}")
