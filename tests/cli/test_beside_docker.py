"""The same command lines to docker and to lamina: the same output, errors and exit codes, where both have them.

A scene is a story of commands, each after how much of it must agree:

    =      exit code, standard output and standard error
    out    exit code and standard output
    code   exit code
    set    exit code and the lines of standard output, in any order

Ids, times and names that neither chose are words (see `transcripts.Words`), and so is who speaks.
"""

import json
import os
import pathlib
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from bench.images import Image
from tests.cli.place import Lamina
from tests.cli.transcripts import Words
from tests.peers import Docker, Result, Tool

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.overlay, pytest.mark.runc]

SCENES = {
    "images": r"""
        = images
        = images --no-trunc
        = images -q
        = images --digests
        = images tiny
        = images tiny:1
        = images 't*'
        = images nobody
        = images -q nobody
        = images --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}} {{.CreatedAt}} {{.Digest}}'
        = images --format 'table {{.ID}}\t{{.Size}}\t{{.CreatedSince}}'
        = images -q --format '{{.Tag}}'
        = images -f dangling=true
        = images -f reference=tiny
        code images -f bogus=1
        code images -f since=nobody
        code images -f bogus
        code images --format '{{.Nope}}'
        code images --format '{{.ID'
        code images --format
        code images --no-trunc=maybe
        out images --no-trunc=false -q
        code images one two
        code images --bogus
        code images -x
        code image bogus
        code bogus
    """,
    "history": r"""
        = history tiny:1
        = history --no-trunc tiny:1
        = history -q tiny:1
        = history -q --no-trunc tiny:1
        = history -H=false tiny:1
        = history --human tiny:1
        = history --format '{{json .}}' tiny:1
        = history --format '{{.ID}} {{.CreatedBy}} {{.Size}} {{.Comment}}' tiny:1
        = history nobody
        code history BAD
        code history
    """,
    "inspect": r"""
        = inspect -f '{{.Id}} {{.RepoTags}} {{.RootFS.Layers}} {{.Size}} {{.Os}} {{.Architecture}}' tiny:1
        = inspect -f '{{json .Config.Cmd}} {{.Config.Env}} {{.GraphDriver.Name}} {{.Created}}' tiny:1
        = inspect nobody
        = inspect --type container nobody
        out inspect -f '{{.Id}}' nobody tiny:1
        code inspect --type image nobody
        code inspect --type bogus nobody
        code inspect -f '{{.Nope}}' tiny:1
        code inspect -f '{{.Id' tiny:1
        code inspect
    """,
    "tag and rmi": r"""
        = tag tiny:1 other:2
        = tag tiny:1 localhost:5000/a/b
        = tag tiny:1 tiny:1
        set images --format '{{.Repository}}:{{.Tag}}'
        = rmi other:2
        out rmi localhost:5000/a/b nobody
        out rmi -f nobody
        = create --network none --name holder tiny:1 true
        = rmi tiny:1
        = tag tiny:1 other
        = rmi other:latest
        code rmi {tiny}
        = rmi -f tiny:1
        = ps -a --format '{{.Names}}'
        = rm holder
        = images -aq
        load
        = tag tiny:1 other:1
        code rmi {tiny}
        set rmi -f {tiny}
        = images -aq
        load
        code tag tiny:1 BAD
        code tag tiny:1 copy@sha256:0000000000000000000000000000000000000000000000000000000000000000
        code tag nobody copy
        code tag tiny:1
        code rmi BAD
        code rmi
    """,
    "containers": r"""
        = ps
        = create --network none --name one -l team=web -e A=1 tiny:1 sh -c 'echo "a  b"'
        = create --network none --name one tiny:1
        = ps
        out ps -a
        = ps -aq
        = ps -a --no-trunc --format '{{.ID}} {{.Image}} {{.Command}} {{.Status}} {{.Names}} {{.Labels}} {{.State}}'
        = ps -a --format 'table {{.Names}}\t{{.Label "team"}}\t{{.Mounts}}\t{{.Networks}}\t{{.LocalVolumes}}'
        = run --name two --network none tiny:1 sh -c 'echo 12345 > /new; exit 3'
        = ps -a --format '{{.Names}} {{.Size}} {{.State}}'
        = ps -as --format '{{.Names}} {{.Size}}'
        = ps -l --format '{{.Names}}'
        = ps -n 2 --format '{{.Names}}'
        = ps -n 1 --format '{{.Names}}'
        = ps -a -f name=one --format '{{.Names}}'
        = ps -a -f status=exited --format '{{.Names}}'
        = ps -f status=created --format '{{.Names}}'
        = ps -f exited=3 --format '{{.Names}}'
        = ps -a -f label=team --format '{{.Names}}'
        = ps -a -f label=team=none --format '{{.Names}}'
        = ps -a -f ancestor=tiny:1 --format '{{.Names}}'
        = inspect -s -f '{{.SizeRw}} {{.SizeRootFs}} {{.State.ExitCode}} {{.State.Status}}' two
        = inspect -f '{{.Name}} {{.Path}} {{.Args}} {{.Image}} {{.Config.Labels}}' one
        = inspect -f '{{json .HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.NetworkMode}}' one
        = inspect -f '{{.State.StartedAt}} {{.State.FinishedAt}} {{.State.Error}}' one
        set diff two
        set diff one
        code ps -f bogus=1
        code ps -f bogus
        code ps -n many
        code ps --format '{{'
        code ps more
        = rm one two
        = rm one
        out rm -f one
        code rm
        = diff one
        code diff
    """,
    "commit": r"""
        out run --name one --network none tiny:1 sh -c 'echo x > /new; rm /etc/group; echo >> /etc/passwd'
        set diff one
        = commit -m message -a author -c 'CMD ["new"]' --change 'ENV A=1' --change 'LABEL x=y' one made:1
        = history --format '{{.CreatedBy}}|{{.Comment}}|{{.Size}}' made:1
        = inspect -f '{{.Config.Cmd}} {{.Config.Env}} {{.Author}} {{.Comment}} {{len .RootFS.Layers}}' made:1
        = inspect -f '{{.Config.Labels}} {{.Config.Image}} {{.Size}}' made:1
        = run --rm --network none made:1 cat /new
        = commit one
        code commit -c 'RUN x' one
        code commit -c 'NONSENSE' one
        code commit one BAD
        = commit nobody
        code commit
        = rm one
        out rmi made:1
    """,
    "save, load, import, export": r"""
        out save -o saved.tar tiny:1
        out load -i saved.tar
        code load -q -i nowhere
        code load -i text
        code load more
        code save nobody
        code save -o nowhere/x tiny:1
        code save
        = create --network none --name one tiny:1
        out export -o exported.tar one
        = export nobody
        code export -o nowhere/x one
        code export
        = import -m message -c 'CMD ["x"]' exported.tar made:1
        = inspect -f '{{.Config.Cmd}} {{.Comment}} {{len .RootFS.Layers}} {{.Size}}' made:1
        = history --format '{{.CreatedBy}}|{{.Comment}}|{{.Size}}' made:1
        code import nowhere
        code import exported.tar BAD
        code import -c 'RUN x' exported.tar
        code import
        = rm one
    """,
    "run": r"""
        = run --rm --network none tiny:1 sh -c 'echo out; echo err >&2; exit 3'
        = run --rm --network none tiny:1 sh -c 'kill -9 $$'
        = run --rm --network none tiny:1 sh -c 'sh -c "kill -9 \$\$"; echo $?'
        = run --rm --network none -e A=1 -e B --env-file vars --hostname box tiny:1 env
        = run --rm --network none -t --hostname box tiny:1 env
        = run --rm --network none -w /new/place tiny:1 pwd
        = run --rm --network none -u 5:6 tiny:1 id
        = run --rm --network none -u root tiny:1 id
        = run --rm --network none -u 5 tiny:1 sh -c 'id; echo $HOME'
        = run --rm --network none --entrypoint echo tiny:1 a b
        = run --rm --network none --entrypoint '' tiny:1 echo c
        = run --rm --network none -h box tiny:1 sh -c 'hostname; cat /etc/hostname'
        = run --rm --network none --read-only tiny:1 touch /x
        = run --rm --network none -v {here}/text:/file:ro tiny:1 sh -c 'cat /file; echo x > /file'
        = run --rm --network none -v {here}/made:/made tiny:1 sh -c 'echo x > /made/x; ls /made'
        = run --rm --network none tiny:1 sh -c 'umask; ulimit -n; ls -ld / /etc /dev/shm /tmp | cut -c1-10; ls /dev'
        = run --rm --network none tiny:1 sh -c 'grep Cap /proc/self/status; cat /proc/self/oom_score_adj'
        = run --rm --network none tiny:1 sh -c 'grep -v " / \| /etc/" /proc/mounts | cut -d " " -f 2,3 | sort'
        = run --rm --network none tiny:1 sh -c 'ls /sys/class/net; ls -a / | sort'
        = run --rm --network none -t tiny:1 tty
        = run --rm=true --network none tiny:1 echo --rm=false -t
        = run --rm --network none -u nobody tiny:1 true
        = run --rm --network none -w here tiny:1 true
        = run --network none --name 'a b' tiny:1 true
        code create --network none --name 'a b' tiny:1 true
        code create --network none -w here tiny:1 true
        code create --network none -e =x tiny:1
        code run --rm --network none tiny:1 nobody
        code run --rm --network none tiny:1 /etc
        code run --rm --network none tiny:1 /etc/passwd
        code run --rm --network none -w /etc/passwd tiny:1 true
        code run --rm --network none -v /x:y tiny:1 true
        code run --rm --network none -v /tmp:/ tiny:1 true
        code run --rm --network none -v /tmp:/tmp:bogus tiny:1 true
        code run --rm --network none --entrypoint '' tiny:1
        code run --rm --network bogus tiny:1 true
        code run --rm --network none -it tiny:1 true
        code run --network none -e =x tiny:1
        code run --network none --env-file nowhere tiny:1
        code run --bogus tiny:1
        code run
        code run --network none --name failed tiny:1 nobody
        = ps -a --format '{{.Names}} {{.Status}} {{.Command}}'
        = inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.StartedAt}}' failed
        = rm failed
    """,
}


@pytest.fixture
def tools(lamina: Lamina, docker: Docker, tiny: Image, tmp_path: pathlib.Path) -> Iterator[dict[str, Tool]]:
    """Both, with `tiny:1` and nothing else, each to be called in a folder of its own."""
    lamina("rmi", "site:1", "site:2")
    lamina("system", "migrate", "--quiet", "--to", "overlay2")
    for name in ("lamina", "docker"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text").write_text("text\n")
        (tmp_path / name / "vars").write_text("C=3\n# no variable\nD\n")
    yield {"lamina": lamina, "docker": docker._tool()}
    for container in docker("ps", "-aq").stdout.split():
        docker("rm", "-f", container)
    for image in docker("images", "-aq").stdout.split():
        docker("rmi", "-f", image, check=False)
    docker("load", "-q", "-i", tiny.path)


@pytest.mark.parametrize("scene", SCENES)
def test_scene(tools: dict[str, Tool], scene: str, tiny: Image, tmp_path: pathlib.Path) -> None:
    words = {name: Words(tiny.id, {}) for name in tools}
    differing: list[str] = []
    for line in SCENES[scene].strip().splitlines():
        if line.strip() == "load":
            for tool in tools.values():
                tool("load", "-q", "-i", tiny.path)
            continue
        told: dict[str, tuple[int, str, str]] = {}
        for name, tool in tools.items():
            here = str(tmp_path / name)
            text = line.strip().replace("{tiny}", tiny.id[7:19]).replace("{here}", here)
            how, *arguments = shlex.split(text)
            told[name] = _told(tool(*arguments, check=False, cwd=here), how, words[name])
        if told["lamina"] != told["docker"]:
            differing.append(f"{line.strip()}\n  lamina: {told['lamina']}\n  docker: {told['docker']}")
    assert not differing, "\n" + "\n".join(differing)


def _told(done: Result, how: str, words: Words) -> tuple[int, str, str]:
    """Return of an ended process what must agree."""
    assert "Traceback" not in done.stderr
    out = words(done.stdout) if how != "code" else ""
    if how == "set":
        out = "".join(sorted(out.splitlines(keepends=True)))
    return done.returncode, out, words(_unattributed(done.stderr)) if how == "=" else ""


def _unattributed(text: str) -> str:
    """Return an error without who says it, and without what docker adds below; its client 20.10 ends some in a stop.

    That one may also tell that it waits no longer for a container that never ran.
    """
    text = re.sub(r"^time=.* msg=\"error waiting for container: .*\n?", "", text, flags=re.MULTILINE)
    text = re.sub(r"\.?\n+(Run|See) 'docker .*\n?", "\n", text)
    text = re.sub(r"\.$", "", text, flags=re.MULTILINE)
    return re.sub(r"^(docker: )?(Error: |Error response from daemon: )?", "", text, flags=re.MULTILINE)


GONE = {"Container", "ContainerConfig", "VirtualSize"}
"""Fields of an image that dockerd 20.10 has, and 28 does not."""


def test_fields(tools: dict[str, Tool]) -> None:
    keys: dict[str, list[set[str]]] = {}
    for name, tool in tools.items():
        tool("create", "--network", "none", "--name", "one", "-v", "/tmp:/mnt:ro", "tiny:1")
        image, container = tool.json("inspect", "tiny:1")[0], tool.json("inspect", "one")[0]
        rows = [json.loads(tool(*what, "--format", "{{json .}}").stdout) for what in (("images",), ("ps", "-a"))]
        values: list[dict[str, Any]] = [
            *(image, image["Config"], image["RootFS"], image["GraphDriver"]["Data"]),
            *(container, container["State"], container["HostConfig"], container["GraphDriver"]["Data"]),
            *(container["Config"], container["Mounts"][0]),
            *rows,
        ]
        keys[name] = [set(value) - GONE for value in values]
    platform = {"Platform"}  # of clients since 28
    assert [each - platform for each in keys["docker"]] == [each - platform for each in keys["lamina"]]


def test_archives_go_both_ways(tools: dict[str, Tool], tiny: Image, tmp_path: pathlib.Path) -> None:
    for name, tool in tools.items():
        tool("save", "-o", f"{tmp_path}/{name}.tar", "tiny:1")
        tool("rmi", "tiny:1")
        assert oct(os.stat(f"{tmp_path}/{name}.tar").st_mode & 0o777) == "0o600"
    for name, tool in tools.items():
        other = "docker" if name == "lamina" else "lamina"
        assert tool("load", "-i", f"{tmp_path}/{other}.tar").stdout == "Loaded image: tiny:1\n"
        assert tool("inspect", "-f", "{{.Id}}", "tiny:1").stdout.strip() == tiny.id
