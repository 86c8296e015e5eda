"""The events of dockerd 20.10 and of lamina for the same commands."""

import os
import pathlib
import re
import shlex
import time

import pytest
from bench.images import Image
from tests.cli.place import Lamina
from tests.peers import Docker, Tool

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

SCENARIO = """
tag tiny:1 two:2
run --name first --network none -l a=b tiny:1 true
run --rm --name second --network none tiny:1 sh -c 'exit 3'
run -d --name third --network none -v vol:/v:ro -v /unnamed tiny:1 sleep 100
exec third echo hi
pause third
unpause third
rename third fourth
commit -m words fourth made:1
commit --pause=false fourth
top fourth
kill -s HUP fourth
stop -t 0 fourth
start fourth
restart -t 0 fourth
rm -f -v fourth
create --name none --network none tiny:1 nosuch
start none
rm none
run -d --name big --network none -m 8m tiny:1 sh -c 'x=a; while true; do x=$x$x; done'
wait big
export -o {folder}/tree.tar first
cp {folder}/tree.tar first:/in
cp first:/in {folder}/out
save -o {folder}/image.tar tiny:1 two:2
import {folder}/tree.tar imported:1
rmi two:2
rmi imported:1 made:1
volume create vol2
volume rm vol2
volume prune -f
container prune -f
image prune -f
"""


def events(tool: Tool | Docker, folder: pathlib.Path) -> list[str]:
    """Do all that on a store with `tiny:1`; return the events, ids and times made alike, in an order of their own."""
    folder.mkdir()
    for line in SCENARIO.format(folder=folder).strip().splitlines():
        tool(*shlex.split(line), check=False)
    found = tool("events", "--since", "1h", "--until", f"{time.time():.9f}").stdout.splitlines()
    plain = (re.sub(r"[0-9a-f]{64}", "ID", line.partition(" ")[2]) for line in found)
    return sorted(re.sub(r"reclaimed=\d+", "reclaimed=N", line) for line in plain)


def test_the_same_happens(docker: Docker, tiny: Image, tmp_path: pathlib.Path) -> None:
    lamina = Lamina(os.path.join(tmp_path, "store"))
    for tool in (docker, lamina):
        tool("load", "-q", "-i", tiny.path)
    ours, theirs = (events(tool, tmp_path / name) for tool, name in ((lamina, "ours"), (docker, "theirs")))
    assert [line for line in ours if line.startswith("container oom ")] == ["container oom ID (image=tiny:1, name=big)"]
    left_out = ("network ", "container oom ")  # of which dockerd misses some
    assert [line for line in ours if not line.startswith(left_out)] == [
        line for line in theirs if not line.startswith(left_out)
    ]
