"""A person at a terminal who logs in; what is typed is not shown."""

import os
import pathlib
import pty

import pytest
from tests import peers
from tests.cli.place import BIN, Lamina
from tests.registry.distribution import PASSWORD, USER, Distribution


@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 0), ("wrong word", 1)], ids=["right", "wrong"])
def test_at_a_terminal(empty: Lamina, tmp_path: pathlib.Path, password: str, status: int) -> None:
    peers.need(Distribution.missing())
    env = {**empty.env, "DOCKER_CONFIG": str(tmp_path / "docker")}
    with Distribution(str(tmp_path / "registry"), locked=True) as registry:
        pid, terminal = pty.fork()
        if not pid:
            os.execve(os.path.join(BIN, "lamina"), ["lamina", "login", registry.host], env)
        with open(terminal, "r+b", buffering=0) as screen:
            shown = _until(screen.fileno(), b"Username: ")
            screen.write(f"{USER}\n".encode())
            shown += _until(screen.fileno(), b"Password: ")
            screen.write(f"{password}\n".encode())
            shown += _until(screen.fileno(), b"")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status
    assert (b"Login Succeeded" in shown) == (status == 0)
    assert password.encode() not in shown
    assert (tmp_path / "docker").exists() == (status == 0)


def _until(terminal: int, mark: bytes) -> bytes:
    """Return what is shown up to a mark, or to the end."""
    shown = b""
    while not mark or mark not in shown:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # the other side is closed
            data = b""
        if not data:
            assert not mark, shown
            return shown
        shown += data
    return shown
