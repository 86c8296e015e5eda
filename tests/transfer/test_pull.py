"""Pull: the program and Debian's docker-registry, and registries that fail in the middle."""

import gzip
import itertools
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.cli.place import BIN, Lamina
from tests.peers import Failed
from tests.registry.distribution import Running
from tests.remote.servers import Asked, Library, Reply, Server
from tests.transfer import samples

from lamina.content.contract import ContentNotFound
from lamina.engine import Engine
from lamina.errors import InvalidArgument
from lamina.events import Event, Progress, Status
from lamina.oci import codec, digest, mediatypes
from lamina.oci.manifest import Index
from lamina.oci.platform import host
from lamina.remote.client import Client
from lamina.remote.settings import Settings

pytestmark = pytest.mark.root

Stores = Callable[[str], Lamina]


@pytest.fixture
def pushed(first: Lamina, registry: Running) -> str:
    """The repository `x/site`, with the tags 1 and 2."""
    name = f"{registry.host}/x/site"
    for tag in ("1", "2"):
        first("tag", f"site:{tag}", f"{name}:{tag}")
    first("push", "-a", name)
    return name


def test_an_image_comes_as_it_went(first: Lamina, store: Stores, pushed: str) -> None:
    second = store("second")
    done = second("pull", f"{pushed}:2")
    short = [one[:12] for one in _layers(pushed, "2")]
    assert re.findall(r"^(\w{12}): Pull complete", done.stdout, re.MULTILINE) == short
    lines = done.stdout.splitlines()
    assert lines[0] == "2: Pulling from x/site"
    assert lines[-2:] == [f"Status: Downloaded newer image for {pushed}:2", f"{pushed}:2"]
    ours, theirs = (one.json("inspect", f"{pushed}:2")[0] for one in (second, first))
    assert ours["Id"] == theirs["Id"]
    assert ours["RepoDigests"] == theirs["RepoDigests"] == [f"{pushed}@{_digest(pushed, '2')}"]
    files = "ls", "-R", f"{pushed}:2", "/"
    assert second(*files).stdout == first(*files).stdout


def test_an_image_that_is_here_asks_for_no_layer(store: Stores, pushed: str, registry: Running) -> None:
    second = store("second")
    second("pull", f"{pushed}:2")
    second("tag", f"{pushed}:2", "kept:1")
    second("rmi", f"{pushed}:2")
    before = len(registry.requests())
    assert f"Downloaded newer image for {pushed}:2" in second("pull", f"{pushed}:2").stdout
    assert f"Image is up to date for {pushed}:2" in second("pull", f"{pushed}:2").stdout
    assert not [line for line in registry.requests()[before:] if "/blobs/" in line]


def test_only_what_is_missing_is_asked_for(store: Stores, pushed: str, registry: Running) -> None:
    second = store("second")
    second("pull", f"{pushed}:1")
    before = len(registry.requests())
    done = second("pull", f"{pushed}:2")
    *present, new = _layers(pushed, "2")
    assert re.findall(r"^(\w{12}): Already exists", done.stdout, re.MULTILINE) == [one[:12] for one in present]
    blobs = [line for line in registry.requests()[before:] if "/blobs/" in line]
    config = second.json("inspect", f"{pushed}:2")[0]["Id"]
    assert sorted(blobs) == sorted(f"GET /v2/x/site/blobs/{one}" for one in (f"sha256:{new}", config))


def test_a_copy_into_the_store_asks_for_what_is_missing(store: Stores, pushed: str, registry: Running) -> None:
    second = store("second")
    second("copy", f"docker://{pushed}:1", "store:one")
    before = len(registry.requests())
    done = second("copy", f"docker://{pushed}:2", "two:2")
    assert done.stdout == f"{_digest(pushed, '2')}\n"
    config = second.json("inspect", "two:2")[0]["Id"]
    blobs = [line for line in registry.requests()[before:] if "GET" in line and "/blobs/" in line]
    assert sorted(blobs) == sorted(
        f"GET /v2/x/site/blobs/{one}" for one in (f"sha256:{_layers(pushed, '2')[-1]}", config)
    )
    names = second("images", "--digests", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}").stdout.splitlines()
    assert sorted(names) == ["one:latest <none>", "two:2 <none>"]
    before = len(registry.requests())
    second("copy", f"docker://{pushed}:2", "store:three")
    assert not [line for line in registry.requests()[before:] if "/blobs/" in line]


def test_all_tags_and_a_digest(store: Stores, pushed: str) -> None:
    second = store("second")
    done = second("pull", "-a", pushed)
    assert done.stdout.endswith(f"Status: Downloaded newer image for {pushed}\n{pushed}\n")
    assert second("images", "-q", f"{pushed}:1").stdout != second("images", "-q", f"{pushed}:2").stdout != ""
    third, content = store("third"), _digest(pushed, "1")
    done = third("pull", f"{pushed}@{content}")
    assert done.stdout.startswith(f"{content}: Pulling from x/site\n")
    assert third("images", "--digests", "--format", "{{.Tag}} {{.Digest}}").stdout == f"<none> {content}\n"
    assert third("pull", "-q", f"{pushed}:1").stdout == f"{pushed}:1\n"


def test_what_is_not_there(store: Stores, pushed: str) -> None:
    for name in (f"{pushed}:none", pushed.replace("x/site", "no/thing"), f"{pushed}@sha256:{'0' * 64}"):
        done = store("second")("pull", name, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: manifest for ")
        assert "not found" in done.stderr


def test_a_driver_whose_layers_need_their_parents(store: Stores, pushed: str) -> None:
    second = store("second")
    second.env["LAMINA_STORAGE_DRIVER"] = "vfs"
    second = Lamina(f"{second.root}.vfs", env={**second.env, "LAMINA_ROOT": f"{second.root}.vfs"})
    second("pull", f"{pushed}:2")
    assert second("system", "check").stdout == f"no problem found in {second.root}\n"


def test_the_platform_of_an_index(store: Stores) -> None:
    library = Library()
    one, two = samples.layers(100, 200)
    mine, other = samples.fill(library, one), samples.fill(library, two, architecture="s390x")
    found = tuple(
        type(sample.manifest)(sample.manifest.media_type, sample.manifest.digest, sample.manifest.size, platform=where)
        for sample, where in ((other, host().__class__("s390x", "linux")), (mine, host()))
    )
    index = library.add(codec.encode(Index(2, found, mediatypes.OCI_INDEX)), mediatypes.OCI_INDEX, "many")
    with Server(library) as server:
        lamina, name = store("second"), f"{server.host}/a/b:many"
        lamina("pull", name)
        assert lamina.json("inspect", name)[0]["Id"] == mine.image_id
        assert f"Digest: {index.digest}" in lamina("pull", "--platform", "linux/s390x", name).stdout
        assert lamina.json("inspect", name)[0]["Id"] == other.image_id
        done = lamina("pull", "--platform", "linux/arm", name, check=False)
        assert "no matching manifest for linux/arm in index" in done.stderr
        kept = set(lamina("content", "ls", "-q").stdout.split())
        assert kept == {index.digest, mine.manifest.digest, other.manifest.digest}


def test_an_image_of_another_platform_comes_with_a_warning(store: Stores) -> None:
    library = Library()
    sample = samples.fill(library, *samples.layers(100), architecture="s390x")
    with Server(library) as server:
        name = f"{server.host}/a/b:1"
        done = store("second")("pull", "--platform", "linux/arm64", name)
        assert done.stderr == (
            f"WARNING: image with reference {name} was found but its platform (linux/s390x) does not match "
            "the specified platform (linux/arm64)\n"
        )
        assert store("second").json("inspect", name)[0]["Id"] == sample.image_id
        assert not store("second")("pull", name).stderr


def test_a_policy_that_cannot_be_read(store: Stores) -> None:
    lamina = store("second")
    lamina("content", "keep", "--layers", "1k")
    path = pathlib.Path(lamina.root, "lamina", "policy.json")
    path.write_text("{")
    done = lamina("pull", "127.0.0.1:1/a/b:1", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"Error: {path} is invalid: ")
    path.unlink()


def test_one_blob_as_two_layers(store: Stores) -> None:
    library = Library()
    layer, other = samples.layers(5000, 100)
    samples.fill(library, layer, other, layer)
    with Server(library) as server:
        store("second")("pull", f"{server.host}/a/b:1")
        blobs = [line for line in server.lines() if "/blobs/" in line]
        assert len(blobs) == len(set(blobs)) == 3


class _Cut:
    """Ends the connection of one blob at an offset, as long as `on`, and remembers from where it was asked for."""

    def __init__(self, library: Library, blob: str, at: int) -> None:
        self._library, self._blob, self._at = library, blob, at
        self.on = True
        self.begins: list[int] = []

    def __call__(self, asked: Asked) -> Reply | None:
        if asked.method != "GET" or self._blob not in asked.path:
            return None
        begin = int(asked.headers.get("Range", "bytes=0-")[6:-1])
        self.begins.append(begin)
        if not self.on:
            return None
        if begin >= self._at:
            return Reply(503, {"Retry-After": "3600"})
        data = self._library.blobs[self._blob]
        span = {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"} if begin else {}
        return Reply(206 if begin else 200, span, data[begin : self._at], len(data) - begin)


def test_a_later_pull_goes_on_where_one_broke(store: Stores) -> None:
    library = Library()
    sample = samples.fill(library, *samples.layers(400_000, 100))
    cut = library.before = _Cut(library, sample.layers[0].digest, 150_000)
    with Server(library) as server:
        lamina, name = store("second"), f"{server.host}/a/b:1"
        assert lamina("pull", name, check=False).returncode == 1
        assert not lamina("images", "-q").stdout
        partial = os.path.join(lamina.root, "lamina", "partial", sample.layers[0].digest.replace(":", "-"))
        assert os.path.getsize(partial) == 150_000
        cut.on = False
        cut.begins.clear()
        done = lamina("pull", name)
        assert "Verifying Checksum" in done.stdout
        assert cut.begins == [150_000]
        assert lamina.json("inspect", name)[0]["Id"] == sample.image_id
        assert not os.listdir(os.path.dirname(partial))


@pytest.mark.parametrize("wrong", [bytes(200_000), samples.noise(99, 200_000)], ids=["zeros", "noise"])
def test_a_part_that_is_wrong_is_fetched_again(store: Stores, wrong: bytes) -> None:
    library = Library()
    sample = samples.fill(library, *samples.layers(400_000))
    cut = library.before = _Cut(library, sample.layers[0].digest, 150_000)
    cut.on = False
    with Server(library) as server:
        lamina, name = store("second"), f"{server.host}/a/b:1"
        lamina("images")
        folder = os.path.join(lamina.root, "lamina", "partial")
        os.mkdir(folder)
        with open(os.path.join(folder, sample.layers[0].digest.replace(":", "-")), "wb") as file:
            file.write(wrong)
        lamina("pull", name)
        assert cut.begins[-1] == 0
        assert lamina.json("inspect", name)[0]["Id"] == sample.image_id


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_pull_that_is_ended_loses_nothing_that_came(store: Stores, number: signal.Signals) -> None:
    library = Library()
    sample = samples.fill(library, *samples.layers(400_000, 5000))
    data = library.blobs[sample.layers[0].digest]
    halfway, go_on = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Reply | None:
        if asked.method != "GET" or sample.layers[0].digest not in asked.path or "Range" in asked.headers:
            return None

        def pieces() -> Iterator[bytes]:
            yield data[:200_000]
            halfway.set()
            go_on.wait(60)

        return Reply(200, {}, pieces())

    library.before = answer
    with Server(library) as server:
        lamina, name = store("second"), f"{server.host}/a/b:1"
        process = lamina.start("pull", name)
        assert halfway.wait(60)
        partial = pathlib.Path(lamina.root, "lamina", "partial", sample.layers[0].digest.replace(":", "-"))
        _until(lambda: partial.exists() and partial.stat().st_size == 200_000)
        os.killpg(process.pid, number)
        process.communicate(timeout=60)
        go_on.set()
        assert process.returncode
        assert lamina("system", "prune", "-f").returncode == 0  # whoever comes next takes away what was left
        assert partial.stat().st_size == 200_000
        assert not lamina("images", "-q").stdout
        lamina("pull", name)
        assert [one.headers["Range"] for one in server.asked if "Range" in one.headers] == ["bytes=200000-"]
        assert lamina.json("inspect", name)[0]["Id"] == sample.image_id


def test_two_at_once_fetch_a_layer_once(store: Stores) -> None:
    library = Library()
    sample = samples.fill(library, *samples.layers(200_000, 300_000))
    both = threading.Barrier(2)

    def answer(asked: Asked) -> Reply | None:
        if asked.method == "HEAD" and asked.path.endswith("/manifests/1"):
            both.wait(60)
        return None

    library.before = answer
    with Server(library) as server:
        lamina, name = store("second"), f"{server.host}/a/b:1"
        lamina("images")
        processes = [lamina.start("pull", name) for _ in range(2)]
        said = [process.communicate(timeout=60)[0].decode() for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        blobs = [line for line in server.lines() if any(layer.digest in line for layer in sample.layers)]
        assert len(blobs) == 2
        assert sum(text.count("Pull complete") for text in said) == 2
        assert sum(text.count("Already exists") for text in said) == 2


@pytest.mark.parametrize("wrong", ["layer", "noise", "diff id", "count", "config", "kind"])
def test_a_registry_that_lies(store: Stores, wrong: str) -> None:
    library = Library()
    one, two = samples.layers(3000, 4000)
    sample = samples.fill(library, one)
    if wrong == "layer":
        library.blobs[sample.layers[0].digest] = bytes(sample.layers[0].size)
    if wrong == "noise":
        library.blobs[sample.layers[0].digest] = samples.noise(99, sample.layers[0].size)
    if wrong == "config":
        library.blobs[sample.image_id] = library.blobs[sample.image_id].replace(b"amd64", b"amd46")
    if wrong in ("diff id", "count"):
        config = json.loads(library.blobs[sample.image_id])
        config["rootfs"]["diff_ids"] = [digest.of(two)] * (2 if wrong == "count" else 1)
        _replace_config(library, sample, json.dumps(config).encode(), mediatypes.OCI_CONFIG)
    if wrong == "kind":
        _replace_config(library, sample, b"{}", "application/vnd.example.model.v1+json")
    expected = {
        "layer": "blob sha256:",
        "noise": "blob sha256:",
        "diff id": "layers from manifest don't match image configuration: layer",
        "count": "layers from manifest don't match image configuration: there are 1",
        "config": "blob sha256:",
        "kind": 'Encountered remote "application/vnd.example.model.v1+json" when fetching',
    }
    with Server(library) as server:
        lamina = store("second")
        with pytest.raises(Failed) as caught:
            lamina("pull", f"{server.host}/a/b:1")
        assert caught.value.stderr.startswith(f"Error: {expected[wrong]}")
        assert caught.value.stderr.count("\n") == 1
        assert not lamina("images", "-aq").stdout
        assert not lamina("system", "df", "--format", "{{.TotalCount}}").stdout.strip("0\n")


@pytest.mark.parametrize("wrong", ["zeros", "noise", "another gzip", "short", "more after the layer"])
@pytest.mark.parametrize("verb", ["pull", "copy"])
def test_a_mirror_that_lies(store: Stores, tmp_path: pathlib.Path, verb: str, wrong: str) -> None:
    library, liar = Library(), Library()
    sample = samples.fill(library, *samples.layers(50_000, 100))
    liar.blobs, liar.kinds, liar.names = {**library.blobs}, library.kinds, library.names
    layer = sample.layers[0]
    right = library.blobs[layer.digest]
    other = gzip.compress(bytes(layer.size))
    liar.blobs[layer.digest] = {
        "zeros": bytes(layer.size),
        "noise": samples.noise(99, layer.size),
        "another gzip": other + bytes(layer.size - len(other)),
        "short": right[:-1],
        "more after the layer": right[:-1] + b"x",
    }[wrong]
    with Server(liar) as first, Server(library) as second:
        mirrors = {"registry-mirrors": [f"http://{server.host}" for server in (first, second)]}
        (tmp_path / "daemon.json").write_text(json.dumps(mirrors))
        lamina = store("second")
        words = ("pull", "a/b:1") if verb == "pull" else ("copy", "docker://a/b:1", f"oci:{tmp_path}/layout")
        done = lamina(*words, env={"LAMINA_DAEMON_JSON": str(tmp_path / "daemon.json")})
        blob = f"blobs/{layer.digest}"
        assert [line.rpartition("/b/")[2] for line in second.lines()].count(blob) == 1
        if wrong != "short":  # that is said before anything is read
            assert f"WARNING: mirror {first.host} is not asked again: " in done.stderr
    if verb == "pull":
        assert lamina.json("inspect", "a/b:1")[0]["Id"] == sample.image_id
        assert not os.listdir(os.path.join(lamina.root, "lamina", "partial"))
    else:
        assert (tmp_path / "layout/blobs/sha256" / layer.digest[7:]).read_bytes() == right


def _warning(library: Library, said: Callable[[Asked], str]) -> Callable[[Asked], Reply]:
    """Return a registry that warns in every answer."""

    def answer(asked: Asked) -> Reply:
        reply = library(asked)
        return reply._replace(headers={**reply.headers, "Warning": said(asked)})

    return answer


def test_what_a_registry_warns_of_is_told_once(store: Stores, tmp_path: pathlib.Path) -> None:
    library = Library()
    samples.fill(library, *samples.layers(50_000, 40_000, 100))
    both, one = '299 - "going \x1b[2J away", 299 - "soon"', '299 - "soon"'
    with Server(_warning(library, lambda asked: both if "/manifests/" in asked.path else one)) as server:
        lamina, name = store("second"), f"{server.host}/a/b:1"
        said = {f"WARNING: http://{server.host} warns: {text}" for text in ("going  [2J away", "soon")}
        for words in (("pull", name), ("copy", f"docker://{name}", f"oci:{tmp_path}/x"), ("digest", name)):
            lines = [line for line in lamina(*words).stderr.splitlines() if line.startswith("WARNING")]
            assert (len(lines), set(lines)) == (2, said), words


def test_a_registry_that_never_stops_warning(store: Stores) -> None:
    library = Library()
    samples.fill(library, *samples.layers(*range(100, 130)))
    numbers = itertools.count()
    with Server(_warning(library, lambda _: f'299 - "{next(numbers)} {"x" * 3000}"')) as server:
        lines = store("second")("pull", f"{server.host}/a/b:1").stderr.splitlines()
        assert len(lines) <= 20 * 4  # of each process
        assert max(map(len, lines)) < 600


def test_json_lines(store: Stores, pushed: str) -> None:
    done = store("second")("pull", "--progress", "json", f"{pushed}:1")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    layer = _layers(pushed, "1")[1][:12]
    mine = [line for line in lines if line.get("id") == layer]
    assert [line["status"] for line in mine if "progressDetail" not in line] == [
        "Pulling fs layer",
        "Download complete",
        "Pull complete",
    ]
    last = [line for line in mine if "progressDetail" in line][-1]
    assert last["status"] == "Downloading"
    assert last["progressDetail"]["current"] == last["progressDetail"]["total"] > 0


def test_run_and_build_fetch_what_they_need(store: Stores, pushed: str, tmp_path: pathlib.Path) -> None:
    second = store("second")
    done = second("create", "--network", "none", f"{pushed}:1", "x")
    assert done.stderr.startswith(f"Unable to find image '{pushed}:1' locally\n1: Pulling from x/site\n")
    assert "Image is up to date" in second("create", "--pull", "always", "--network", "none", f"{pushed}:1").stderr
    never = second("run", "--pull", "never", "--network", "none", f"{pushed}:2", check=False)
    assert (never.returncode, never.stderr) == (125, f"Error: No such image: {pushed}:2\n")
    (tmp_path / "Dockerfile").write_text(f"FROM {pushed}:2\nLABEL a=b\n")
    done = second("build", str(tmp_path))
    assert done.stdout.startswith(f"Step 1/2 : FROM {pushed}:2\n2: Pulling from x/site\n")
    assert "Already exists" in done.stdout
    done = second("build", "--pull", str(tmp_path))
    assert f"Status: Image is up to date for {pushed}:2\n ---> " in done.stdout
    assert "Pulling" not in second("build", str(tmp_path)).stdout


def _replace_config(library: Library, sample: samples.Sample, raw: bytes, kind: str) -> None:
    config = library.add(raw, kind)
    value = json.loads(library.blobs[sample.manifest.digest])
    value["config"] = {"mediaType": kind, "digest": config.digest, "size": config.size}
    library.add(json.dumps(value).encode(), sample.manifest.media_type, "1")


def _until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that another process does."""
    deadline = threading.Event()
    for _ in range(6000):
        if holds():
            return
        deadline.wait(0.01)
    raise AssertionError("it never came to hold")


def _manifest(repository: str, tag: str) -> subprocess.CompletedProcess[str]:
    from tests.peers import skopeo

    return skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{repository}:{tag}")


def _digest(repository: str, tag: str) -> str:
    return digest.of(_manifest(repository, tag).stdout.encode())


def _layers(repository: str, tag: str) -> list[str]:
    """Return the hex digests of a tag's layers, base first."""
    return [
        layer["digest"].removeprefix("sha256:") for layer in json.loads(_manifest(repository, tag).stdout)["layers"]
    ]


def test_bars_on_a_terminal(store: Stores, pushed: str) -> None:
    second = store("second")
    second("images")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [os.path.join(BIN, "lamina"), "pull", f"{pushed}:2"],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env={**second.env, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(slave)
    said = b"".join(iter(lambda: _read(master), b""))
    os.close(master)
    assert process.wait(60) == 0
    assert said.startswith(b"2: Pulling from x/site\r\n")
    for layer in _layers(pushed, "2"):
        assert f"{layer[:12]}: Pull complete".encode() in said
    assert said.endswith(f"{pushed}:2\r\n".encode())


def test_from_python_beside_threads(tmp_path: pathlib.Path) -> None:
    library = Library()
    sample = samples.fill(library, *samples.layers(5000, 100))
    heard: list[Event] = []
    connect = lambda: Client(Settings(certificates=""))  # noqa: E731
    with Server(library) as server, Engine(str(tmp_path / "store"), "vfs", heard.append, connect=connect) as engine:
        name = f"{server.host}/a/b:1"
        [pulled] = engine.pull(name)
        assert (pulled.image_id, pulled.digest, pulled.is_new) == (sample.image_id, sample.manifest.digest, True)
        assert not engine.pull(name)[0].is_new
        assert engine.content()[0].digest == sample.manifest.digest
        with pytest.raises(InvalidArgument, match="cannot have the name x"):
            engine.pull(f"{server.host}/a/b", every=True, into="x")
    assert Status("Pull complete", sample.layers[0].digest[7:19]) in heard


@pytest.mark.overlay
def test_layers_come_together_beside_threads(tmp_path: pathlib.Path) -> None:
    library, both = Library(), threading.Barrier(2)
    sample = samples.fill(library, *samples.layers(400_000, 300_000, 100))
    large = [layer.digest for layer in sample.layers[:2]]

    def answer(asked: Asked) -> Reply | None:
        if asked.path.rpartition("/")[2] in large:
            both.wait(30)
        return None

    library.before = answer
    connect = lambda: Client(Settings(certificates="", attempts=1))  # noqa: E731
    with Server(library) as server, Engine(str(tmp_path / "store"), "overlay2", connect=connect) as engine:
        assert engine.pull(f"{server.host}/a/b:1")[0].image_id == sample.image_id
        assert not list(engine.check())


@pytest.mark.parametrize(("layers", "size"), [(1, 5_000_000), (60, 100_000)])
def test_one_that_outlasts_the_others_is_shared(tmp_path: pathlib.Path, layers: int, size: int) -> None:
    """One thread reads and hashes it, another one inflates it; where there are many, one does both."""
    library, most = Library(), 0
    samples.fill(library, *samples.layers(*[size] * layers))

    def hear(event: Event) -> None:
        nonlocal most
        if isinstance(event, Progress):
            most = max(most, sum(thread.name.endswith("(_fill)") for thread in threading.enumerate()))

    connect = lambda: Client(Settings(certificates=""))  # noqa: E731
    with Server(library) as server, Engine(str(tmp_path / "store"), "vfs", hear, connect=connect) as engine:
        engine.pull(f"{server.host}/a/b:1")
        assert not list(engine.check())
    assert most == (2 if layers < len(os.sched_getaffinity(0)) else 1)


@pytest.mark.overlay
def test_one_that_fails_ends_the_others_beside_threads(tmp_path: pathlib.Path) -> None:
    library, silence, asked_for = Library(), threading.Event(), threading.Event()
    sample = samples.fill(library, *samples.layers(400_000, 300_000, 100))
    silent, gone, _ = (layer.digest for layer in sample.layers)

    def answer(asked: Asked) -> Reply | None:
        if silent in asked.path:
            asked_for.set()
            silence.wait(60)
        if gone in asked.path:
            asked_for.wait(30)
            return Reply(404)
        return None

    library.before = answer
    root = str(tmp_path / "store")
    connect = lambda: Client(Settings(certificates=""))  # noqa: E731
    with Server(library) as server, Engine(root, "overlay2", connect=connect) as engine:
        begun = time.monotonic()
        with pytest.raises(ContentNotFound, match=gone):
            engine.pull(f"{server.host}/a/b:1")
        assert time.monotonic() - begun < 30
        silence.set()
        assert not engine.images()
        assert not list(engine.check())
        assert not os.listdir(f"{root}/lamina/tmp")
        library.before = lambda _: None
        assert engine.pull(f"{server.host}/a/b:1")[0].image_id == sample.image_id


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 16)
    except OSError:  # the other end is closed
        return b""
