"""What happens is told, once, to whoever listens; and containers with a health check are looked after."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests import peers, traces
from tests.cli.place import Lamina
from tests.cli.test_detached import QUIET, monitor, remains, state, until
from tests.peers import Tool

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]


@pytest.fixture(autouse=True)
def conmon() -> None:
    peers.need(Tool("conmon").missing())


def told(lamina: Lamina, *filters: str) -> list[str]:
    words = [word for text in filters for word in ("--filter", text)]
    return lamina("events", "--until", "0s", "--format", "{{.Action}}", *words).stdout.splitlines()


def health(lamina: Lamina, name: str) -> str:
    status = lamina("ps", "-a", "--filter", f"name={name}", "--format", "{{.Status}}").stdout
    return status.partition("(")[2].strip(")\n")


def test_listeners_hear_what_comes(lamina: Lamina) -> None:
    listening = lamina.start("events", "--filter", "type=image", "--format", "{{.Actor.Attributes.name}}")
    assert listening.stdout
    try:
        heard: list[bytes] = []
        for number in range(100):  # until it listens, and then once more
            lamina("tag", "tiny:1", f"tiny:{number}")
            if traces.readable(0.2, listening.stdout.fileno()):
                heard.append(listening.stdout.readline())
                break
        lamina("tag", "tiny:1", "last:1")
        while b"last" not in heard[-1]:
            heard.append(listening.stdout.readline())
        assert heard == sorted(set(heard), key=heard.index)
        assert heard[-1] == b"last:1\n"
    finally:
        listening.kill()
        listening.communicate()


def test_ends_that_somebody_else_notes(lamina: Lamina) -> None:
    """The conmon's command, the next command after the conmon was killed, and that after a killed runner."""
    lamina("run", "-d", "--rm", "--name", "one", *QUIET, "tiny:1", "sh", "-c", "exit 3")
    until(lambda: "destroy" in told(lamina, "container=one"))
    assert told(lamina, "container=one") == ["create", "start", "die", "destroy"]
    lamina("run", "-d", "--name", "two", *QUIET, "tiny:1", "sleep", "100")
    os.kill(monitor(lamina, "two"), signal.SIGKILL)
    until(lambda: state(lamina, "two") == "exited 137")
    runner = lamina.start("run", "--name", "three", *QUIET, "tiny:1", "sleep", "100")
    until(lambda: "start" in told(lamina, "container=three"))
    runner.kill()
    runner.wait()
    lamina("tag", "tiny:1", "other")
    runner.communicate()  # the container had its streams
    assert told(lamina, "container=two") == ["create", "start", "die"]
    assert told(lamina, "container=three") == ["create", "attach", "start", "die"]
    which = ("--filter", "container=two", "--filter", "container=three")
    words = ("--filter", "event=die", *which, "--format", "{{.Actor.Attributes.exitCode}}")
    assert lamina("events", "--until", "0s", *words).stdout == "137\n137\n"
    lamina("rm", "two", "three")


@pytest.mark.parametrize(
    ("end", "status", "actions"), [('exec runc "$@"', 3, ["start", "die"]), ("exit 1", 1, ["die"])]
)
def test_a_start_that_takes_long(lamina: Lamina, tmp_path: Path, end: str, status: int, actions: list[str]) -> None:
    """It is told when the process runs, and not where none does: for a while we look for it, then the kernel tells."""
    slow = tmp_path / "slow"
    slow.write_text(f'#!/bin/sh\ncase "$*" in *" --pid-file "*) sleep 0.5; {end};; esac\nexec runc "$@"\n')
    slow.chmod(0o755)
    words = ("run", "--name", "one", *QUIET, "tiny:1", "sh", "-c", "exit 3")
    done = lamina(*words, env={"LAMINA_RUNTIME": str(slow)}, check=False)
    assert done.returncode == status, done
    assert told(lamina, "container=one")[2:] == actions
    lamina("rm", "one")


def test_what_cannot_be_noted_hinders_nothing(lamina: Lamina) -> None:
    events = Path(lamina.root, "lamina/events")
    subprocess.run(["rm", "-rf", events], check=True)
    events.write_text("in the way")
    done = lamina("tag", "tiny:1", "other:1")
    assert done.stderr == f"WARNING: events are not noted: Not a directory ({events}/1)\n"
    assert "other" in lamina("images").stdout
    events.unlink()


CHECKED = ("--health-interval", "100ms", "--health-retries", "2")


def test_health_comes_and_goes(lamina: Lamina) -> None:
    lamina("run", "-d", "--name", "one", *QUIET, *CHECKED, "--health-cmd", "cat /well", "tiny:1", "sleep", "100")
    until(lambda: health(lamina, "one") == "unhealthy")
    lamina("exec", "one", "sh", "-c", "seq 2000 > /well")
    until(lambda: health(lamina, "one") == "healthy")
    until(lambda: len(json.loads(lamina("inspect", "-f", "{{json .State.Health.Log}}", "one").stdout)) == 5)
    found = json.loads(lamina("inspect", "one").stdout)[0]["State"]["Health"]
    assert (found["Status"], found["FailingStreak"], found["Log"][-1]["ExitCode"]) == ("healthy", 0, 0)
    assert found["Log"][-1]["Output"] == "".join(f"{number}\n" for number in range(1, 2001))[:4096] + "..."
    assert lamina("ps", "--filter", "health=healthy", "--format", "{{.Names}}").stdout == "one\n"
    assert told(lamina, "event=health_status") == ["health_status: unhealthy", "health_status: healthy"]
    lamina("pause", "one")
    before = len(told(lamina, "event=exec_create"))
    lamina("tag", "tiny:1", "other")  # the time of some probes
    assert len(told(lamina, "event=exec_create")) <= before + 1
    lamina("unpause", "one")
    until(lambda: len(told(lamina, "event=exec_create")) > before + 1)
    lamina("stop", "-t", "0", "one")
    assert lamina("inspect", "-f", "{{.State.Health.Status}}", "one").stdout == "unhealthy\n"
    until(lambda: not remains(lamina))
    lamina("start", "one")
    until(lambda: health(lamina, "one") == "healthy")
    lamina("rm", "-f", "one")
    assert not list(Path(f"{lamina.root}.run/health").iterdir())


def test_a_probe_that_takes_too_long_is_killed_with_all_it_started(lamina: Lamina) -> None:
    slow = ("--health-cmd", "sleep 50 & sleep 60", "--health-timeout", "200ms")
    lamina("run", "-d", "--name", "one", *QUIET, *CHECKED, *slow, "tiny:1", "sleep", "100")
    until(lambda: health(lamina, "one") == "unhealthy")
    last = "{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}"
    assert lamina("inspect", "-f", last, "one").stdout == "-1 Health check exceeded timeout (200ms)\n"
    lamina("kill", "one")
    until(lambda: not remains(lamina))
    assert lamina("inspect", "-f", "{{.State.Status}}", "one").stdout == "exited\n"
    lamina("rm", "one")


def test_failures_after_the_start_are_excused(lamina: Lamina) -> None:
    lamina(
        *("run", "-d", "--name", "one", *QUIET, *CHECKED, "--health-start-period", "1h"),
        *("--health-cmd", "nosuch", "tiny:1", "sleep", "100"),
    )
    until(lambda: len(told(lamina, "event=exec_die")) > 3)
    assert health(lamina, "one") == "health: starting"
    lamina("rm", "-f", "one")


@pytest.mark.parametrize("killed", ["conmon", "container", "foreground"])
def test_a_prober_ends_with_what_it_looks_after(lamina: Lamina, killed: str) -> None:
    options = ("--name", "one", *QUIET, *CHECKED, "--health-cmd", "true", "tiny:1", "sleep", "100")
    if killed == "foreground":
        runner = lamina.start("run", *options)
    else:
        lamina("run", "-d", *options)
    until(lambda: health(lamina, "one") == "healthy")
    pids = {pid for pid, words in remains(lamina).items() if "prober import" in words}
    assert len(pids) == 1
    if killed == "foreground":
        runner.kill()
        runner.wait()
    elif killed == "conmon":
        os.kill(monitor(lamina, "one"), signal.SIGKILL)
    else:
        lamina("kill", "one")
    until(lambda: not pids & set(remains(lamina)))
    lamina("tag", "tiny:1", "other")
    until(lambda: not remains(lamina))
    if killed == "foreground":
        runner.communicate()  # the container had its streams
    assert state(lamina, "one") == "exited 137"
    lamina("rm", "one")


def test_filters_of_ps(lamina: Lamina) -> None:
    for name in ("one", "two", "three"):
        lamina("create", "--name", name, *QUIET, "-v", f"{name}:/{name}", "tiny:1", "true")

    def found(*filters: str) -> str:
        words = [word for text in filters for word in ("-f", text)]
        return lamina("ps", "-a", "--format", "{{.Names}}", *words).stdout.replace("\n", " ").strip()

    assert found("before=two") == "one"
    assert found("since=two") == "three"
    assert found("since=one", "before=three") == "two"
    assert found("volume=one") == found("volume=/one") == "one"
    assert found("volume=one", "volume=two") == ""
    assert found("network=none") == found("health=none") == found("is-task=false") == "three two one"
    assert found("network=host") == found("health=healthy") == found("publish=80") == found("expose=80") == ""
    assert found("name=one", "name=two") == "two one"
    for text, message in (
        ("before=four", "no such container four"),
        ("health=bogus", "invalid filter 'health=bogus': there are none, starting, healthy, unhealthy"),
        ("expose=x", "invalid filter 'expose=x': expected a port, or a range of ports"),
    ):
        assert lamina("ps", "-f", text, check=False).stderr == f"Error: {message}\n"
    lamina("rm", "one", "two", "three")
