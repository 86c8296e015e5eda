"""scripts/require, run by the real apt, against a repository of one package, on a copy of this machine.

The copy is an overlay over the root file system with its upper layer in memory, in private namespaces: nothing of
it reaches the machine. The package starts a service when it is installed, as docker.io does.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable

import pytest
from tests import peers

SCRIPT = os.path.abspath("scripts/require")
POLICY = "/usr/sbin/policy-rc.d"
POSTINST = """#!/bin/sh
cp %s /policy
invoke-rc.d lamina-demo start || exit 1
""".replace("%s", POLICY)

Machine = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder that apt takes packages from."""
    folder = tmp_path_factory.mktemp("repository")
    package = folder / "package"
    control = (
        "Package: lamina-demo\nVersion: 1\nArchitecture: all\nMaintainer: none <none@localhost>\nDescription: demo\n"
    )
    for name, text, mode in (
        ("DEBIAN/control", control, 0o644),
        ("DEBIAN/postinst", POSTINST, 0o755),
        ("etc/init.d/lamina-demo", "#!/bin/sh\ntouch /started\n", 0o755),
        ("usr/sbin/lamina-demo", "#!/bin/sh\n", 0o755),
    ):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
        (package / name).chmod(mode)
    deb = folder / "demo.deb"
    peers.Tool("dpkg-deb")("--build", "--root-owner-group", str(package), str(deb))
    facts = (
        f"Filename: ./demo.deb\nSize: {deb.stat().st_size}\nSHA256: {hashlib.sha256(deb.read_bytes()).hexdigest()}\n"
    )
    (folder / "Packages").write_text(control + facts)
    folder.chmod(0o755)
    return str(folder)


@pytest.fixture
def machine(repository: str, tmp_path: pathlib.Path) -> Machine:
    """A function that runs a shell script on a copy of the machine, which `require` is on the path of."""
    peers.need("needs root" if os.geteuid() else "", peers.Tool("apt-get").missing())
    setup = f"""set -eu
    top=$(mktemp -d -p {tmp_path})
    mount -t tmpfs none $top
    cd $top
    mkdir upper work root
    mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work none root
    cd root
    for folder in proc dev sys; do mount --rbind /$folder $folder; done
    for folder in run tmp; do mount -t tmpfs none $folder; done
    rm -rf etc/apt/sources.list etc/apt/sources.list.d/* etc/apt/apt.conf.d/* var/lib/apt/lists/* .{POLICY}
    mkdir repository
    cp {repository}/Packages {repository}/demo.deb repository
    echo 'deb [trusted=yes] file:/repository ./' >etc/apt/sources.list
    install -m 755 {SCRIPT} usr/bin/require
    exec /usr/sbin/chroot . sh -c "$1"
    """

    def run(script: str) -> "subprocess.CompletedProcess[str]":
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", setup, "-", script]
        environment = {"PATH": "/usr/bin:/bin"}  # as some users have it: without /usr/sbin
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)

    return run


def test_installs_what_is_missing(machine: Machine) -> None:
    done = machine("require lamina-demo dpkg && dpkg-query -W -f '${Status}' lamina-demo")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "require: installing lamina-demo\n"
    assert done.stdout == "install ok installed"


def test_starts_no_service_and_leaves_no_policy(machine: Machine) -> None:
    done = machine(f"require lamina-demo && cat /policy; ls {POLICY} /started /tmp/*")
    assert "scripts/require" in done.stdout
    assert done.stdout.endswith("exit 101\n")
    assert done.stderr.count("No such file or directory") == 3, done.stderr


def test_a_policy_of_the_machine_stays(machine: Machine) -> None:
    theirs = f"printf '#!/bin/sh\\nexit 0\\n' >{POLICY}; chmod +x {POLICY}; "
    done = machine(theirs + f"require lamina-demo && cat {POLICY} && ls /started")
    assert done.stdout == "#!/bin/sh\nexit 0\n/started\n", done.stderr


def test_a_policy_that_a_killed_run_left_goes(machine: Machine) -> None:
    ours = (
        f"printf '#!/bin/sh\\n%s\\nexit 101\\n' \"$(sed -n \"s/^mark='\\(.*\\)'/\\1/p\" /usr/bin/require)\" >{POLICY}; "
    )
    done = machine(ours + f"require lamina-demo; ls {POLICY} /started")
    assert done.stderr.count("No such file or directory") == 2, done.stderr
    assert done.stdout == ""


def test_a_command_from_elsewhere_counts(machine: Machine) -> None:
    done = machine("ln -s /bin/true /usr/local/sbin/lamina-demo; require lamina-demo:lamina-demo && ls /policy")
    assert done.returncode == 2
    assert "require" not in done.stderr
    done = machine("require lamina-demo:lamina-demo && ls /usr/sbin/lamina-demo")
    assert done.stdout == "/usr/sbin/lamina-demo\n", done.stderr


def test_two_runs_take_turns(machine: Machine) -> None:
    done = machine("require lamina-demo & require lamina-demo && wait $! && lamina-demo")
    assert done.returncode == 127 or done.returncode == 0, done.stderr
    assert done.stderr.count("require: installing") == 1, done.stderr
    assert "failed" not in done.stderr


def test_a_package_that_apt_does_not_know(machine: Machine) -> None:
    done = machine(f"require lamina-nonesuch; echo $?; ls {POLICY}")
    assert done.stdout == "1\n"
    assert "Unable to locate package lamina-nonesuch" in done.stderr
    assert "apt-get install failed: still missing: lamina-nonesuch" in done.stderr


def test_a_package_without_the_command(machine: Machine) -> None:
    done = machine("require lamina-demo:nonesuch")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        "require: installed, but the command is not there: lamina-demo",
    )


def test_a_mirror_that_does_not_answer(machine: Machine) -> None:
    done = machine("rm -r /repository; require lamina-demo")
    assert done.returncode == 1
    assert done.stderr.endswith("require: apt-get update failed: still missing: lamina-demo\n")


def test_needs_root(machine: Machine) -> None:
    done = machine("setpriv --reuid 65534 --clear-groups require lamina-demo")
    assert (done.returncode, done.stderr) == (1, "require: missing: lamina-demo; need root to install them\n")


def test_needs_apt(machine: Machine) -> None:
    done = machine("rm /usr/bin/apt-get; require lamina-demo")
    assert done.returncode == 1
    assert done.stderr == "require: missing: lamina-demo; there is no apt-get here to install them\n"


def test_what_is_there_needs_nothing(tmp_path: pathlib.Path) -> None:
    peers.need(peers.Tool("dpkg-query").missing())
    assert shutil.which("sh")
    done = peers.Tool(SCRIPT)("dpkg", "no-such-package:sh")
    assert (done.stdout, done.stderr) == ("", "")
    for arguments in ([], ["--help"], ["dpkg", "-y"]):
        assert "usage" in peers.Tool(SCRIPT)(*arguments, check=False).stderr
