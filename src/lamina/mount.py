"""Union mounts as values, made detached from any place, and mount namespaces of one thread.

A detached mount is a descriptor: names are looked up below it with `dir_fd`, from any thread, and it is gone
with the descriptor, also when the process is killed. Where a program needs a path, the mount is attached inside
a `Namespace`, which nobody else sees and which ends with its thread.

Sources: mount(2), pivot_root(2), setns(2), fsopen(2), fsconfig(2), move_mount(2), mount_namespaces(7), the kernel's
overlayfs.rst.
"""

import contextlib
import ctypes
import errno
import os
import queue
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec

from .errors import FailedPrecondition, PermissionDenied

T = TypeVar("T")

_FSOPEN, _FSCONFIG, _FSMOUNT, _MOVE_MOUNT = 430, 431, 432, 429  # the same on all architectures
_SET_FLAG, _SET_STRING, _SET_FD, _CMD_CREATE = 0, 1, 5, 6
_CLOEXEC = 1
_ATTR_READONLY = 1
_EMPTY_PATH = 4
_AT_FDCWD = -100
_CLONE_NEWNS = 0x20000
_MNT_DETACH = 2
_MS_RDONLY, _MS_BIND, _MS_REC, _MS_SLAVE = 1, 4096, 16384, 1 << 19
_OFF = ("index", "metacopy", "redirect_dir")
_MAX_DATA = 4095


class MountFailed(FailedPrecondition):
    """The kernel refused a mount; the message says which and why."""


class MountDenied(PermissionDenied):
    """The caller may not mount."""


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
    """

    home: str
    lowers: tuple[str | Image, ...] = ()
    upper: str = ""
    work: str = ""
    user_xattrs: bool = False


def detached(mount: Mount) -> int:
    """Mount without a place; return an O_PATH descriptor of the root, which the caller closes.

    Raises:
        MountDenied: the caller has no right to mount.
        MountFailed: the kernel refused.
    """
    try:
        if not mount.lowers:
            return _folder(mount, mount.upper)
        return _union(mount)
    except OSError as error:
        if not _may_be_old_kernel(mount, error):
            raise _refused(mount, error) from error
    with Namespace() as namespace:
        return namespace.run(_overlay_in_namespace, mount)


def attach(mount: Mount, path: str) -> None:
    """Mount at a directory, in the namespace of the calling thread.

    Raises:
        MountDenied: the caller has no right to mount.
        MountFailed: the kernel refused.
    """
    try:
        if not mount.lowers:
            source = os.path.join(mount.home, mount.upper)
            _check(_libc().mount(os.fsencode(source), os.fsencode(path), None, _MS_BIND | _MS_REC, None))
            return
        _move(_union(mount), path)
    except OSError as error:
        if not _may_be_old_kernel(mount, error):
            raise _refused(mount, error) from error
        _overlay_by_text(mount, path)


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


def _union(mount: Mount) -> int:
    if _is_image(mount) and isinstance(mount.lowers[0], Image):
        return _image(mount, mount.lowers[0])
    return _overlay(mount)


def _overlay(mount: Mount) -> int:
    """Make an overlay whose layers are passed as descriptors, whatever the length of their paths (Linux 6.13).

    Of mounts that are attached nowhere it takes them since Linux 6.15.
    """
    opened: list[int] = []

    def layer(key: bytes, source: str | Image) -> None:
        opened.append(_image(mount, source) if isinstance(source, Image) else _folder(mount, source))
        _call(_FSCONFIG, opened[0], _SET_FD, key, None, opened[-1])

    opened.append(_call(_FSOPEN, b"overlay", _CLOEXEC))
    try:
        _call(_FSCONFIG, opened[0], _SET_STRING, b"source", b"overlay", 0)
        for key, value in _options(mount).items():
            _call(_FSCONFIG, opened[0], _SET_STRING, key.encode(), value.encode(), 0)
        if mount.user_xattrs:
            _call(_FSCONFIG, opened[0], _SET_FLAG, b"userxattr", None, 0)
        for lower in mount.lowers:
            layer(b"lowerdir+", lower)
        if mount.upper:
            layer(b"upperdir", mount.upper)
            layer(b"workdir", mount.work)
        _call(_FSCONFIG, opened[0], _CMD_CREATE, None, None, 0)
        return _call(_FSMOUNT, opened[0], _CLOEXEC, 0 if mount.upper else _ATTR_READONLY)
    finally:
        for fd in opened:
            os.close(fd)


def _image(mount: Mount, image: Image) -> int:
    """Mount an image from its file (Linux 6.12); paths of any length are short by their descriptors."""
    opened = [_call(_FSOPEN, b"erofs", _CLOEXEC)]
    try:
        for key, path in ((b"source", image.path), *((b"device", path) for path in image.devices)):
            opened.append(os.open(os.path.join(mount.home, path), os.O_RDONLY | os.O_CLOEXEC))
            _call(_FSCONFIG, opened[0], _SET_STRING, key, b"/proc/self/fd/%d" % opened[-1], 0)
        _call(_FSCONFIG, opened[0], _CMD_CREATE, None, None, 0)
        return _call(_FSMOUNT, opened[0], _CLOEXEC, _ATTR_READONLY)
    finally:
        for fd in opened:
            os.close(fd)


def _move(fd: int, path: str) -> None:
    """Attach a mount at a directory; the descriptor is closed."""
    try:
        _call(_MOVE_MOUNT, fd, b"", _AT_FDCWD, os.fsencode(path), _EMPTY_PATH)
    finally:
        os.close(fd)


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
    images = [_image(mount, lower) for lower in mount.lowers if isinstance(lower, Image)]
    with _scratch():  # the overlay has mounts of its own of what it joins
        names = iter([_attach_image(number, fd) for number, fd in enumerate(images)])
        os.mkdir("home")
        _check(_libc().mount(os.fsencode(mount.home), b"home", None, _MS_BIND, None))
        lowers = [f"home/{lower}" if isinstance(lower, str) else next(names) for lower in mount.lowers]
        _mount_overlay(mount, path, lowers, "home/")


@contextlib.contextmanager
def _scratch() -> Iterator[None]:
    """Work in an empty folder that is gone after the block, over `/proc` of this namespace."""
    _check(_libc().mount(b"tmpfs", b"/proc", b"tmpfs", 0, None))
    try:
        os.chdir("/proc")
        yield
    finally:
        os.chdir("/")
        _check(_libc().umount2(b"/proc", _MNT_DETACH))


def _attach_image(number: int, fd: int) -> str:
    os.mkdir(name := str(number))
    _move(fd, name)
    return name


def _mount_overlay(mount: Mount, path: str, lowers: list[str], home: str = "") -> None:
    """Make an overlay of directories, by paths from where we are; `home` leads to the mount's."""
    options = [f"{key}={value}" for key, value in _options(mount).items()] + ["userxattr"] * mount.user_xattrs
    options.append("lowerdir=" + ":".join(lowers))
    if mount.upper:
        options += [f"upperdir={home}{mount.upper}", f"workdir={home}{mount.work}"]
    data = ",".join(options).encode()
    if len(data) > _MAX_DATA:
        raise MountFailed(f"cannot mount {len(mount.lowers)} layers: this kernel takes no more than fit a page")
    _check(_libc().mount(b"overlay", os.fsencode(path), b"overlay", 0 if mount.upper else _MS_RDONLY, data))


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


class Namespace:
    """A thread with a mount namespace of its own: a context manager.

    What `run` calls sees the mounts made there, and so do the programs that it starts. The mounts go when the
    thread has ended and the last such program has. What the host unmounts goes there too, so that nothing is kept
    busy by a program that lives long.
    """

    def __init__(self) -> None:
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Namespace":
        self._thread.start()
        try:
            self.run(_unshare)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._calls.put(None)
        self._thread.join()

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in the namespace; return or raise what it does."""
        done = threading.Event()
        result: list[T] = []
        failure: list[BaseException] = []

        def call() -> None:
            try:
                result.append(function(*args))
            except BaseException as error:  # noqa: BLE001 - raised again by the caller
                failure.append(error)
            done.set()

        self._calls.put(call)
        done.wait()
        if failure:
            raise failure[0]
        return result[0]

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _unshare() -> None:
    try:
        _check(_libc().unshare(_CLONE_NEWNS))
        _check(_libc().mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None))
        _leave_chroot()
    except OSError as error:
        raise MountDenied(f"a mount namespace needs root (CAP_SYS_ADMIN): {error.strerror}") from error


def _leave_chroot() -> None:
    """Make the root that we see that of the namespace, if we are in a chroot.

    Who enters a mount namespace later (setns(2), so `exec`) gets the namespace's root: it must be no other than ours.
    """
    ours = os.open("/", os.O_PATH | os.O_DIRECTORY)
    namespace = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    try:
        _check(_libc().setns(namespace, _CLONE_NEWNS))
        if os.path.samestat(os.fstat(ours), os.stat("/")):
            return
        os.fchdir(ours)
        if _libc().syscall(_pivot_root(), b".", b".") < 0:
            os.chroot(".")  # it is no mount of its own; nothing better can be had
        else:
            _check(_libc().umount2(b".", _MNT_DETACH))
        os.chdir("/")
    finally:
        os.close(namespace)
        os.close(ours)


def _pivot_root() -> int:
    """Return the number of the system call, for which the C library has no name."""
    return 155 if os.uname().machine == "x86_64" else 41


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *args: int | bytes | None) -> int:
    return _check(_libc().syscall(number, *args))


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
