"""A store to attack: copied from a template, a command run on it and killed, and what must hold afterwards."""

import glob
import os
import shutil
import subprocess
import sys
import time

from tests import tars, traces
from tests.peers import PATH

from lamina.engine import Engine

LAMINA = os.path.join(os.path.dirname(sys.executable), "lamina")
CHANGING = (
    "rename,renameat,renameat2,mkdir,mkdirat,rmdir,unlink,unlinkat,link,linkat,symlink,symlinkat,mknod,mknodat,"
    "fchmod,fchmodat,fchown,fchownat,utimensat,setxattr,fsetxattr,lsetxattr,fsync,syncfs,flock,ftruncate,"
    "copy_file_range,move_mount,fsmount,mount,umount2,wait4,sync_file_range"
)
"""System calls that change a store, or stand between changes."""

DOCKERFILE = """\
FROM tiny:1
ENV A=1
COPY Dockerfile /made/
VOLUME /etc
RUN rm /bin/yes && echo x > /made/by-run
WORKDIR /work/here
FROM tiny:1
COPY --from=0 /made /made
LABEL done=yes
"""


class Arena:
    """A folder with a template of a store, and commands on copies of it.

    Args:
        folder: an empty one.
        tiny: path of the archive tiny:1.
    """

    def __init__(self, folder: str, tiny: str) -> None:
        self.folder = folder
        self.template = os.path.join(folder, "template")
        self.store = os.path.join(folder, "store")
        self.run_root = os.path.join(folder, "run")
        self.kills = 0
        self.cgroups = cgroups()
        os.makedirs(os.path.join(folder, "context"))
        shutil.copy(tiny, os.path.join(folder, "tiny.tar"))
        self._write("context/Dockerfile", DOCKERFILE.encode())
        self._write("tree.tar", tars.tar(*tars.odd_members()))
        victim = b"FROM tiny:1\nCOPY Dockerfile /victim\nENV V=1\n"
        for words, data in (
            (["load", "-q", "-i", "tiny.tar"], b""),
            (["build", "-q", "-t", "victim:1", "-f", "-", "context"], victim),
            (["tag", "victim:1", "victim:2"], b""),
            (["create", "--name", "one", "tiny:1", "sh", "-c", "echo x > /x; rm /bin/yes"], b""),
            (["cp", "context", "one:/copied"], b""),
            (["create", "--name", "two", "-v", "/bin", "-v", "/new", "tiny:1"], b""),
            (["volume", "create", "old"], b""),
        ):
            self.call(self.template, *words, data=data)

    def _write(self, name: str, data: bytes) -> None:
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(data)

    def environment(self, root: str) -> dict[str, str]:
        return {"PATH": PATH, "LAMINA_ROOT": root, "LAMINA_RUN_ROOT": self.run_root}

    def call(self, root: str, *words: str, data: bytes = b"", before: tuple[str, ...] = ()) -> int:
        """Run a command on a store; return its exit status."""
        done = subprocess.run(
            [*before, LAMINA, *words],
            input=data,
            capture_output=True,
            cwd=self.folder,
            env=self.environment(root),
            timeout=120,
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return done.returncode

    def attack(self, words: list[str], *, at: int = 0, after: float = 0) -> bool:
        """Run a command on a fresh copy and kill it at its `at`-th change, or after some seconds.

        Returns:
            Whether it was killed before it was done.
        """
        for path in (self.store, self.run_root):
            shutil.rmtree(path, ignore_errors=True)
        subprocess.run(["cp", "-a", self.template, self.store], check=True)
        if at:
            inject = f"inject={CHANGING}:signal=SIGKILL:when={at}"
            before: tuple[str, ...] = (
                "strace",
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                f"trace={CHANGING}",
                "-e",
                inject,
            )
        else:
            before = ("timeout", "-s", "KILL", f"{after:.3f}")
        status = self.call(self.store, *words, before=before)
        self.kills += status in (137, -9)
        return status in (137, -9)

    def judge(self, words: list[str]) -> None:
        """Assert that the store is sound, that the command works now, and that nothing is left over."""
        with Engine(self.store, run_root=self.run_root) as engine:
            assert list(engine.check()) == []
        for name in ("bundles", "state"):
            path = os.path.join(self.run_root, name)
            assert not os.path.isdir(path) or os.listdir(path) == [], f"{name} left in the run root"
        status = self.call(self.store, *words)
        assert status in (0, 1), "1 where it was done before the kill, and what it removes is not there"
        with Engine(self.store, run_root=self.run_root) as engine:
            assert list(engine.check()) == []
            assert not [one.volume.name for one in engine.volumes() if one.volume.anonymous and not one.users]
            assert "tiny:1" in [tag for image in engine.images() for tag in image.tags]
        settle(cgroups() - self.cgroups)
        store = os.path.join(self.store, "lamina")
        assert os.listdir(f"{store}/leases") == []
        assert os.listdir(f"{store}/tmp") == []

    def close(self) -> None:
        """Remove what cannot be removed otherwise."""
        traces.unmount(self.folder)


def cgroups() -> set[str]:
    """Return the control groups of lamina's containers that are there now."""
    return {path for level in ("*", "*/*") for path in glob.glob(f"/sys/fs/cgroup/{level}") if "/lamina-" in path}


def settle(groups: set[str], patience: float = 10) -> None:
    """Wait for control groups to go: other tests have some too, and take theirs away."""
    end = time.monotonic() + patience
    while left := groups & cgroups():
        assert time.monotonic() < end, f"control groups left: {left}"
        time.sleep(0.02)
