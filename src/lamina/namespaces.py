"""Mount namespaces of one thread, and the system calls that Python has no names for.

Sources: unshare(2), setns(2), pivot_root(2), mount_namespaces(7).
"""

import ctypes
import functools
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .errors import PermissionDenied
from .files import libc

T = TypeVar("T")

_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000
_MNT_DETACH = 2
_MS_REC, _MS_SLAVE = 16384, 1 << 19


class MountDenied(PermissionDenied):
    """The caller may not mount."""


class Namespace:
    """A thread with a mount namespace of its own, or in that of others: a context manager.

    What `run` calls sees the mounts made there, and so do the programs that it starts. The mounts go when the
    thread has ended and the last such program has. What the host unmounts goes there too, so that nothing is kept
    busy by a program that lives long.

    Args:
        of: a descriptor of the namespace to enter; without one, a new one is made.
    """

    def __init__(self, of: int | None = None) -> None:
        self._enter = _unshare if of is None else functools.partial(_join, of)
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Namespace":
        self._thread.start()
        try:
            self.run(self._enter)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._calls.put(None)
        self._thread.join()

    @property
    def pid(self) -> int:
        """The number of the thread, as that of a process that is in the namespace."""
        return self._thread.native_id or 0

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
        check(libc().unshare(_CLONE_NEWNS))
        check(libc().mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None))
        _leave_chroot()
    except OSError as error:
        raise MountDenied(f"a mount namespace needs root (CAP_SYS_ADMIN): {error.strerror}") from error


def _join(namespace: int) -> None:
    try:
        check(libc().unshare(_CLONE_FS))
        check(libc().setns(namespace, _CLONE_NEWNS))
    except OSError as error:
        raise MountDenied(f"entering a mount namespace needs root (CAP_SYS_ADMIN): {error.strerror}") from error


def _leave_chroot() -> None:
    """Make the root that we see that of the namespace, if we are in a chroot.

    Who enters a mount namespace later (setns(2), so `exec`) gets the namespace's root: it must be no other than ours.
    """
    ours = os.open("/", os.O_PATH | os.O_DIRECTORY)
    namespace = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    try:
        check(libc().setns(namespace, _CLONE_NEWNS))
        if os.path.samestat(os.fstat(ours), os.stat("/")):
            return
        os.fchdir(ours)
        if libc().syscall(_pivot_root(), b".", b".") < 0:
            os.chroot(".")  # it is no mount of its own; nothing better can be had
        else:
            check(libc().umount2(b".", _MNT_DETACH))
        os.chdir("/")
    finally:
        os.close(namespace)
        os.close(ours)


def _pivot_root() -> int:
    """Return the number of the system call, for which the C library has no name."""
    return 155 if os.uname().machine == "x86_64" else 41


def call(number: int, *args: int | bytes | None) -> int:
    """Make a system call by its number; return what it does.

    Raises:
        OSError: it failed.
    """
    return check(libc().syscall(number, *args))


def check(result: int) -> int:
    """Return what a function of the C library returned; raise an OSError if that says that it failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
