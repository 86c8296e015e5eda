"""The real tools beside us: dockerd with its client, podman, skopeo and others that only run and end.

Every peer is called like a function with the arguments of its command line, and gives back what a finished
process is: `peer("image", "ls").stdout`. None reads the configuration of the machine or of the user, each
has its own store, and any number of them may run at once. A test says what it needs first:

    peers.need(Docker.missing())
    with Docker(root) as docker:
        docker("load", "-i", path)
        assert docker.run("tiny:1", "echo", "hello").stdout == "hello\\n"
"""

import contextlib
import glob
import hashlib
import json
import os
import resource
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, Self, TypedDict, Unpack

from tests import traces

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for: a user's path often lacks /usr/sbin, and has programs that shadow others."""

Result = subprocess.CompletedProcess[str]


class How(TypedDict, total=False):
    """How to call a peer, besides its arguments."""

    input: str | bytes | IO[bytes]
    output: IO[bytes]  # standard output goes there, and is empty in the result
    check: bool  # raise `Failed` when it fails: so unless False
    env: Mapping[str, str]  # added to the environment
    cwd: str
    timeout: float  # seconds, 300 if not given


class Failed(subprocess.CalledProcessError):
    """A peer ended with an error; the message has the end of what it said."""

    def __str__(self) -> str:
        return f"{' '.join(self.cmd)}: exit status {self.returncode}: {_tail(self.stderr or self.stdout)}"


class NotStarted(RuntimeError):
    """A daemon did not become ready; the message has the end of its log."""


def need(*reasons: str) -> None:
    """Skip the running test for the first reason that is not empty; fail it where LAMINA_NO_SKIP=1 is set."""
    import pytest

    for reason in filter(None, reasons):
        if os.environ.get("LAMINA_NO_SKIP") == "1":
            pytest.fail(f"{reason} (LAMINA_NO_SKIP=1)", pytrace=False)
        pytest.skip(reason)


class Tool:
    """A program that needs no state: `Tool("umoci")("--version")`. `always` comes before the arguments of each call."""

    def __init__(self, name: str, *always: str, env: Mapping[str, str] | None = None) -> None:
        self._command = (name, *always)
        self._env = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": "/nonexistent", **(env or {})}

    def missing(self) -> str:
        """Return why the program cannot be used here, or nothing."""
        return _missing(self._command[0])

    def __call__(self, *args: str, **how: Unpack[How]) -> Result:
        """Run the program to its end.

        Raises:
            Failed: its exit status is not 0; not raised with `check=False`.
            subprocess.TimeoutExpired: it took too long, and was killed.
        """
        command = [shutil.which(self._command[0], path=PATH) or self._command[0], *self._command[1:], *args]
        source = how.get("input", b"")
        if isinstance(source, str):
            source = source.encode("utf-8", "surrogateescape")
        done = subprocess.run(
            command,
            input=source if isinstance(source, bytes) else None,
            stdin=None if isinstance(source, bytes) else source,
            stdout=how.get("output", subprocess.PIPE),
            stderr=subprocess.PIPE,
            env={**self._env, **how.get("env", {})},
            cwd=how.get("cwd"),
            timeout=how.get("timeout", 300),
        )
        result = Result([*self._command, *args], done.returncode, _decode(done.stdout), _decode(done.stderr))
        if result.returncode and how.get("check", True):
            raise Failed(result.returncode, result.args, result.stdout, result.stderr)
        return result

    def json(self, *args: str, **how: Unpack[How]) -> Any:
        """Run the program and return the JSON value that it prints."""
        return json.loads(self(*args, **how).stdout)


skopeo = Tool("skopeo", "--insecure-policy")


class Docker:
    """A dockerd of our own over a data root, and its client; the daemon runs while the context does.

    The data root may hold a store already, and is left as the daemon leaves it, unmounted: enter again to start
    again. All else (socket, pid, log, execution state, the client's configuration) lies in a private folder.
    The daemon ends with the thread that started it, whatever happens to that. Containers have no network but
    `none` and `host`. `options` are further ones of the daemon, `env` is added to its environment; `client` is the
    client's name or path.
    """

    def __init__(
        self,
        root: str,
        *options: str,
        driver: str = "overlay2",
        client: str = "docker",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.root = os.path.realpath(root)
        self._env = {"PATH": PATH, "LANG": "C.UTF-8", **(env or {})}
        self._options = ("--storage-driver", driver, *options)
        self._client = client
        self._private = ""
        self._keep: set[int] = set()
        self._log = ""
        self.process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def missing() -> str:
        """Return why dockerd or its client cannot be used here, or nothing."""
        return _missing("dockerd", "docker", "containerd", "runc", root=True)

    @property
    def host(self) -> str:
        """The address that the daemon listens on, as DOCKER_HOST has it."""
        return f"unix://{self._private}/docker.sock"

    @property
    def containerd(self) -> str:
        """The socket of the daemon's containerd."""
        return f"{self._private}/exec/containerd/containerd.sock"

    def log(self) -> str:
        """Return what the daemon has logged since it was last started."""
        if self._private:
            with open(f"{self._private}/log", errors="replace") as file:
                self._log = file.read()
        return self._log

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def __call__(self, *args: str, **how: Unpack[How]) -> Result:
        """Run the client; see `Tool`."""
        return self._tool()(*args, **how)

    def json(self, *args: str, **how: Unpack[How]) -> Any:
        """Run the client and return the JSON value that it prints."""
        return self._tool().json(*args, **how)

    def run(self, image: str, *command: str, **how: Unpack[How]) -> Result:
        """Run a command in a new container without network, and remove the container."""
        return self("run", "--rm", "--network", "none", image, *command, **how)

    def start(self, patience: float = 60) -> None:
        """Start the daemon and wait until it serves.

        Raises:
            NotStarted: it ended, or was not ready after `patience` seconds; nothing is left of it.
        """
        assert self.process is None, "started already"
        os.makedirs(self.root, exist_ok=True)
        self._private = traces.private()
        self._keep = {mount.id for mount in traces.mounts(self.root)}
        try:
            self._launch(patience)
        except BaseException:
            self.kill()
            raise

    def stop(self, patience: float = 60) -> None:
        """End the daemon and its containers in good order, or after `patience` seconds in any order.

        A container that ignores SIGTERM gets 10 seconds from the daemon: kill it before, or it costs them.
        The daemon ends its containerd last, when its store is closed and all is unmounted, and then sleeps a
        second before it looks whether that has ended: we do not wait for this second.
        """
        if self.process is not None:
            with self._ends() as ends:
                self.process.terminate()
                traces.readable(patience, *ends)
        self.kill()

    def kill(self) -> None:
        """End the daemon and all it started without warning; unmount and remove what they left outside the store."""
        if not self._private:
            return
        self.log()
        traces.kill(self._private)
        if self.process is not None:
            self.process.wait()
        self.process = None
        traces.unmount(self.root, self._private, keep=self._keep)
        with contextlib.suppress(FileNotFoundError):
            self._sweep(os.listdir(f"{self.root}/containers"))
        shutil.rmtree(self._private)
        self._private = ""

    def _launch(self, patience: float) -> None:
        """Start the daemon; it tells that it serves as it would tell systemd, by sd_notify(3)."""
        with open(f"{self._private}/daemon.json", "w") as file:
            file.write("{}")  # not the machine's /etc/docker/daemon.json
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(f"{self._private}/log", "wb") as log:
            ready.bind(f"{self._private}/ready")
            environment = {**self._env, "HOME": self._private, "NOTIFY_SOCKET": ready.getsockname()}
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "dockerd", *self._flags(), *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
            with self._ends() as ends:
                if ready.fileno() not in traces.readable(patience, ready.fileno(), *ends):
                    raise NotStarted(f"dockerd on {self.root}: {_tail(self.log()) or 'no log'}")

    @contextlib.contextmanager
    def _ends(self) -> Iterator[list[int]]:
        """Open pidfds of the daemon and of its containerd, if it has started that already."""
        assert self.process is not None
        pids = [self.process.pid]
        with contextlib.suppress(FileNotFoundError), open(f"{self._private}/exec/containerd/containerd.pid") as file:
            pids.append(int(file.read()))
        fds: list[int] = []
        try:
            with contextlib.suppress(ProcessLookupError):
                fds.extend(map(os.pidfd_open, pids))
            yield fds
        finally:
            for fd in fds:
                os.close(fd)

    def _sweep(self, containers: Iterable[str]) -> None:
        """Remove what the shims and runtimes of containers would have removed: their sockets and cgroups."""
        for container in containers:
            name = f"{self._private}/exec/containerd/containerd.sock/moby/{container}"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"/run/containerd/s/{hashlib.sha256(name.encode()).hexdigest()}")
            for tree in ("/sys/fs/cgroup", "/sys/fs/cgroup/*"):
                for path in glob.glob(f"{tree}/docker/{container}"):
                    os.rmdir(path)

    def _flags(self) -> Iterable[str]:
        yield from ("--config-file", f"{self._private}/daemon.json", "--data-root", self.root)
        yield from ("--exec-root", f"{self._private}/exec", "--pidfile", f"{self._private}/pid", "--host", self.host)
        yield from ("--iptables=false", "--ip6tables=false", "--bridge=none")
        yield from ("--exec-opt", "native.cgroupdriver=cgroupfs")

    def _tool(self) -> Tool:
        return Tool(self._client, "--host", self.host, env={"HOME": self._private, "DOCKER_CONFIG": self._private})


class Podman:
    """Podman with a store of its own below `root`; the store goes away with the context.

    Its flags are written to configuration files in a private folder, so that all of its commands obey them: an
    OCI runtime that works on every host, cgroups without systemd, locks that no other podman shares, no more than
    the hard limits we have, no network. It logs in for itself alone. `options` are global ones, given with each call.
    """

    def __init__(self, root: str, *options: str, driver: str = "overlay", runtime: str = "runc") -> None:
        self.root = os.path.realpath(root)
        self._options = options
        self._driver = driver
        self._runtime = runtime
        self._private = ""
        self._keep: set[int] = set()

    @staticmethod
    def missing() -> str:
        """Return why podman cannot be used here, or nothing."""
        return _missing("podman", "runc", "conmon", root=True)

    def __enter__(self) -> Self:
        os.makedirs(f"{self.root}/tmp", exist_ok=True)
        self._private = traces.private()
        self._keep = {mount.id for mount in traces.mounts(self.root)}
        self._configure()
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self("rm", "--all", "--force", "--time", "0", check=False)
        finally:
            traces.kill(self._private)
            traces.unmount(self.root, self._private, keep=self._keep)
            for folder in (f"{self.root}/graph", f"{self.root}/tmp", self._private):
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(folder)
            self._private = ""

    @property
    def environment(self) -> dict[str, str]:
        """What makes podman, or another program of its family, use this store and these settings."""
        assert self._private, "not entered"
        return {
            "HOME": self._private,
            "TMPDIR": f"{self.root}/tmp",
            "CONTAINERS_CONF": f"{self._private}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{self._private}/storage.conf",
            "REGISTRY_AUTH_FILE": f"{self._private}/auth.json",
        }

    def __call__(self, *args: str, **how: Unpack[How]) -> Result:
        """Run podman; see `Tool`."""
        return self._tool()(*args, **how)

    def json(self, *args: str, **how: Unpack[How]) -> Any:
        """Run podman and return the JSON value that it prints."""
        return self._tool().json(*args, **how)

    def run(self, image: str, *command: str, **how: Unpack[How]) -> Result:
        """Run a command in a new container without network, and remove the container."""
        return self("run", "--rm", image, *command, **how)

    def _configure(self) -> None:
        limits = [f"{name}={hard}:{hard}" for name, hard in _hard_limits()]
        engine = {
            "runtime": self._runtime,
            "cgroup_manager": "cgroupfs",
            "events_logger": "file",
            "lock_type": "file",
            "tmp_dir": f"{self._private}/tmp",
        }
        storage = {"driver": self._driver, "graphroot": f"{self.root}/graph", "runroot": f"{self._private}/run"}
        conf: dict[str, dict[str, Any]] = {"containers": {"default_ulimits": limits, "netns": "none"}, "engine": engine}
        _write_toml(f"{self._private}/containers.conf", conf)
        _write_toml(f"{self._private}/storage.conf", {"storage": storage})
        with open(f"{self._private}/auth.json", "w") as file:
            file.write("{}")

    def _tool(self) -> Tool:
        return Tool("podman", *self._options, env=self.environment)


def _missing(*programs: str, root: bool = False) -> str:
    if root and os.geteuid():
        return f"{programs[0]}: needs root"
    absent = [program for program in programs if not shutil.which(program, path=PATH)]
    return f"{programs[0]}: {', '.join(absent)} not installed" if absent else ""


def _hard_limits() -> Iterable[tuple[str, int]]:
    """Return the most that podman may ask for without the right to raise limits.

    That is the hard limit, or what podman lowers it to when it starts: 2^20 files, as many processes as there are pids.
    """
    with open("/proc/sys/kernel/pid_max") as file:
        pids = int(file.read())
    for name, number, most in (("nofile", resource.RLIMIT_NOFILE, 1 << 20), ("nproc", resource.RLIMIT_NPROC, pids)):
        hard = resource.getrlimit(number)[1]
        yield name, most if hard == resource.RLIM_INFINITY else min(hard, most)


def _write_toml(path: str, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Write tables of strings and lists of strings: these look the same in TOML as in JSON."""
    with open(path, "w") as file:
        for table, values in tables.items():
            file.write(f"[{table}]\n")
            file.writelines(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def _decode(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "surrogateescape")


def _tail(text: str, lines: int = 15) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
