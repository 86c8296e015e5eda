"""Push: the program and Debian's docker-registry; what is not sent, and what goes back as it came."""

import contextlib
import glob
import gzip
import io
import json
import os
import pathlib
import re
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.request import urlopen

import pytest
from tests import peers, tars, traces
from tests.cli.place import Lamina
from tests.peers import skopeo
from tests.registry.distribution import PASSWORD, USER, Distribution, Running
from tests.remote.servers import Asked, Library, Reply, Server
from tests.transfer import samples

from lamina.oci import digest, mediatypes
from lamina.packing import Recipe, packed
from lamina.transfer.push import SENDERS

pytestmark = pytest.mark.root

Stores = Callable[[str], Lamina]

DRIVERS = pytest.mark.parametrize("driver", ["erofs", "overlay2"])
"""One process sends what the one has, by threads, and several what the other has."""


@pytest.fixture
def other(tmp_path: object) -> Iterator[Distribution]:
    """Another registry."""
    peers.need(Distribution.missing())
    with Distribution(f"{tmp_path}/other") as registry:
        yield registry


def test_what_the_registry_has_is_not_sent(first: Lamina, registry: Running) -> None:
    name = f"{registry.host}/x/site"
    _tag(first, name)
    done = first("push", f"{name}:1")
    layers = _diff_ids(first, f"{name}:1")
    lines = done.stdout.splitlines()
    assert lines[0] == f"The push refers to repository [{name}]"
    assert lines[1:3] == [f"{layer}: Preparing" for layer in reversed(layers)]
    assert {f"{layer}: Pushed" for layer in layers} <= set(lines)
    raw = _raw(f"{name}:1")
    assert lines[-1] == f"1: digest: {digest.of(raw)} size: {len(raw)}"
    again = first("push", f"{name}:1").stdout.splitlines()
    assert again[3:5] == [f"{layer}: Layer already exists" for layer in reversed(layers)]
    before = len(registry.requests())
    newer = first("push", f"{name}:2").stdout
    assert newer.count("Layer already exists") == 2
    assert newer.count(": Pushed") == 1
    uploads = [line for line in registry.requests()[before:] if line.startswith("PUT") and "/blobs/" in line]
    assert len(uploads) == 2  # the layer and the config


def test_a_push_of_what_is_there_sends_nothing(first: Lamina, registry: Running) -> None:
    name = f"{registry.host}/x/site:1"
    _tag(first, name)
    first("push", name)
    before = len(registry.requests())
    first("push", "-q", name)
    asked = [line for line in registry.requests()[before:] if not line.endswith("/v2/")]
    assert asked == ["HEAD /v2/x/site/manifests/1"]


def test_layers_are_mounted_from_another_repository(first: Lamina, registry: Running) -> None:
    for place in ("x/site", "y/site"):
        _tag(first, f"{registry.host}/{place}:1")
    first("push", f"{registry.host}/x/site:1")
    before = len(registry.requests())
    done = first("push", f"{registry.host}/y/site:1")
    assert done.stdout.count("Mounted from x/site") == 2
    assert not [line for line in registry.requests()[before:] if line.startswith("PATCH")]
    assert _raw(f"{registry.host}/y/site:1") == _raw(f"{registry.host}/x/site:1")


def test_of_what_only_docker_has_noted_the_registry_says_the_size(first: Lamina, registry: Running) -> None:
    """dockerd notes no sizes, and no manifests: no layer is compressed to learn them."""
    for place in ("x/site", "y/site"):
        _tag(first, f"{registry.host}/{place}:1")
    first("push", f"{registry.host}/x/site:1")
    for folder in ("index/forms", "content"):
        shutil.rmtree(f"{first.root}/lamina/{folder}")
    for place, said in (("x", "Layer already exists"), ("y", "Mounted from x/site")):
        lines = [
            json.loads(line)
            for line in first("push", "--progress", "json", f"{registry.host}/{place}/site:1").stdout.splitlines()
        ]
        assert [line["status"] for line in lines].count(said) == 2
        assert not [line for line in lines if "progressDetail" in line]
        shutil.rmtree(f"{first.root}/lamina/index/forms")
        shutil.rmtree(f"{first.root}/lamina/content")
    assert _raw(f"{registry.host}/y/site:1") == _raw(f"{registry.host}/x/site:1")


@pytest.mark.parametrize(("sealed", "source"), [(True, "other/site"), (False, "team/a/site")])
def test_the_order_of_mounts(first: Lamina, tmp_path: pathlib.Path, sealed: bool, source: str) -> None:
    """What we have pushed comes before what is called alike, which was pushed later, by somebody else."""
    peers.need(Distribution.missing())
    with Distribution(str(tmp_path / "registry"), locked=True) as registry:
        alike, other, target = (f"{registry.host}/{place}:1" for place in ("team/a/site", "other/site", "team/a/new"))
        first("login", "-u", USER, "--password-stdin", registry.host, input=PASSWORD)
        for name in (alike, other, target):
            _tag(first, name)
        first("push", alike)
        first("push", other)
        for path in pathlib.Path(first.root).glob("image/*/distribution/v2metadata-by-diffid/sha256/*"):
            one, two = json.loads(path.read_text())
            assert one["HMAC"] != two["HMAC"]
            two["HMAC"] = two["HMAC"] if sealed else ""
            path.write_text(json.dumps([two, {**one, "HMAC": ""}]))
        assert first("push", target).stdout.count(f"Mounted from {source}") == 2


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "fetched again"])
def test_a_layer_goes_back_as_it_came(store: Stores, registry: Running, kept: bool) -> None:
    library = Library()
    sample = samples.fill(library, *samples.layers(5000, 100))
    with Server(library) as server:
        lamina, name = store("second"), f"{server.host}/a/b:1"
        if kept:
            assert lamina("content", "keep", "--layers", "1m").stdout.startswith("layers: 1.05MB\n")
        lamina("pull", name)
        there = f"{registry.host}/c/d:1"
        lamina("tag", name, there)
        server.asked.clear()
        lamina("push", there)
        assert bool([line for line in server.lines() if "/blobs/" in line]) is not kept
    assert _raw(there) == library.blobs[sample.manifest.digest]


def test_a_layer_that_cannot_be_had_as_it_came_is_compressed_again(store: Stores, registry: Running) -> None:
    library = Library()
    samples.fill(library, *samples.layers(5000, 100))
    with Server(library) as server:
        lamina, name = store("second"), f"{server.host}/a/b:1"
        lamina("pull", name)
        there = f"{registry.host}/c/d:1"
        lamina("tag", name, there)
        library.blobs.clear()
        done = lamina("push", there)
    assert done.stdout.count(": Pushed") == 2
    assert json.loads(_raw(there))["mediaType"] == mediatypes.DOCKER_MANIFEST
    third = store("third")
    third("pull", there)
    assert third.json("inspect", there)[0]["Id"] == lamina.json("inspect", there)[0]["Id"]


def test_where_a_layer_came_from_is_asked_no_more_once_it_gives_no_answer(store: Stores, registry: Running) -> None:
    library = Library()
    samples.fill(library, *samples.layers(*range(100, 108)))
    with Server(library) as server:
        lamina, name = store("second"), f"{server.host}/a/b:1"
        lamina("pull", name)
        there = f"{registry.host}/c/d:1"
        lamina("tag", name, there)
        server.answer = lambda _: Reply(503, {"Retry-After": "0"})
        server.asked.clear()
        done = lamina("push", there)
        asked = Counter(server.lines())
    assert done.stdout.count(": Pushed") == 8
    assert 0 < len(asked) <= SENDERS, "one layer by each that sends"


@DRIVERS
def test_how_a_registry_is_spoken_to_is_found_out_once(first: Lamina, registry: Running, driver: str) -> None:
    name = f"{registry.host}/x/site:2"
    _tag(first, name)
    _migrate(first, driver)
    before = len(registry.requests())
    assert first("push", name).stdout.count(": Pushed") == 3
    assert registry.requests()[before:].count("GET /v2/") == 1


def test_what_happens_is_said_when_it_happens(first: Lamina) -> None:
    """How far layers are is there to read while the registry is silent."""
    with _silent() as (host, _, speak):
        _tag(first, f"{host}/a/b:1")
        with first.start("push", "--progress", "json", f"{host}/a/b:1") as program:
            assert program.stdout is not None
            said = b""
            while b"progressDetail" not in said and traces.readable(20, program.stdout.fileno()):
                said += (more := os.read(program.stdout.fileno(), 1 << 16))
                assert more, "it ends before the registry speaks"
            speak.set()
            program.communicate(timeout=60)
    assert b"progressDetail" in said


@DRIVERS
def test_interrupted(first: Lamina, driver: str) -> None:
    """^C while the registry is silent: nothing is waited for."""
    with _silent() as (host, asked, speak):
        _tag(first, f"{host}/a/b:1")
        _migrate(first, driver)
        with first.start("push", f"{host}/a/b:1") as program:
            assert asked.wait(30)
            program.send_signal(signal.SIGINT)
            _, error = program.communicate(timeout=20)
        speak.set()
    assert program.returncode == 130
    assert b"Traceback" not in error


def test_the_same_layers_get_the_same_blobs(first: Lamina, store: Stores, registry: Running) -> None:
    """Two stores that never met compress alike."""
    second, name = store("second"), f"{registry.host}/x/site:2"
    with open(f"{second.root}.tar", "wb") as file:
        first("save", "site:1", "site:2", output=file)
    second("load", "-q", "-i", f"{second.root}.tar")
    for lamina in (first, second):
        _tag(lamina, name)
    first("push", name)
    before = len(registry.requests())
    assert second("push", name).stdout.count("Layer already exists") == 3
    assert not [asked for asked in registry.requests()[before:] if asked.startswith("POST")], "the config is there, too"


def test_drivers_compress_alike(store: Stores, registry: Running, tmp_path: pathlib.Path) -> None:
    """They read a layer in other steps."""
    name = f"{registry.host}/x/large:1"
    archive = str(tmp_path / "archive")
    files = [tars.file(f"file{seed}", samples.noise(seed, 300_000) * 4) for seed in range(3)]
    first, second = store("first"), Lamina(str(tmp_path / "tars"), env={"LAMINA_STORAGE_DRIVER": "erofs"})
    with first.engine() as engine, engine.edit(created=0) as edit:
        edit.append(io.BytesIO(tars.tar(*files)), "large")
        edit.commit(name)
    first("save", "-o", archive, name)
    second("load", "-q", "-i", archive)
    first("push", name)
    assert second("push", name).stdout.count("Layer already exists") == 1


@pytest.mark.parametrize(("name", "level"), [("zstd", ""), ("zstd", "7"), ("gzip", "3"), ("", "0")])
def test_compression_as_asked_for(first: Lamina, store: Stores, registry: Running, name: str, level: str) -> None:
    there = f"{registry.host}/x/site:2"
    _tag(first, there)
    first("push", there)
    before = _layers(there)
    flags = [*(["--compression", name] if name else []), *(["--compression-level", level] if level else [])]
    assert first("push", *flags, there).stdout.count(": Pushed") == 3
    assert {layer["mediaType"].endswith("zstd") for layer in _layers(there)} == {name == "zstd"}
    assert _layers(there) != before
    assert first("push", *flags, there).stdout.count("Layer already exists") == 3
    second = store("second")
    second("pull", there)
    assert second.json("inspect", there)[0]["Id"] == first.json("inspect", "site:2")[0]["Id"]


@pytest.mark.parametrize("flags", [[], ["--compression", "gzip"]], ids=["as it was", "asked for"])
def test_what_once_went_in_one_piece_goes_so_again(
    first: Lamina, registry: Running, other: Distribution, flags: list[str]
) -> None:
    """What was sent before layers were compressed in pieces has the same digests in another registry."""
    _tag(first, f"{registry.host}/x/site")
    first("push", f"{registry.host}/x/site:1")
    recipe, expected = Recipe("gzip", 1, whole=True), {}
    forms = glob.glob(f"{first.root}/lamina/index/forms/**", recursive=True)
    for path in map(pathlib.Path, filter(os.path.isfile, forms)):
        (form,) = json.loads(path.read_text())
        with urlopen(f"http://{registry.host}/v2/x/site/blobs/{form['descriptor']['digest']}") as reply:
            piece = reply.read()
        with packed(blob := io.BytesIO(), recipe) as writer:
            writer.write(gzip.decompress(piece))
        expected[form["descriptor"]["digest"]] = digest.of(blob.getvalue())
        form = {
            "descriptor": {**form["descriptor"], "digest": digest.of(blob.getvalue()), "size": len(blob.getvalue())},
            "maker": recipe.maker,
        }
        path.write_text(json.dumps([form]))
    sent = [layer["digest"] for layer in _layers(f"{registry.host}/x/site:1")]
    _tag(first, f"{other.host}/x/site")
    shutil.rmtree(f"{first.root}/lamina/content")
    first("push", *flags, f"{other.host}/x/site:1")
    assert [layer["digest"] for layer in _layers(f"{other.host}/x/site:1")] == [expected[one] for one in sent]
    assert len(sent) == 2


def test_an_image_without_layers(store: Stores, registry: Running) -> None:
    name = f"{registry.host}/x/nothing:1"
    first, second = store("first"), store("second")
    with first.engine() as engine, engine.edit(created=0) as edit:
        edit.set(cmd=["/x"])
        edit.commit(name)
    first("push", name)
    second("pull", name)
    assert second.json("inspect", name)[0]["Id"] == first.json("inspect", name)[0]["Id"]


def test_all_tags(first: Lamina, registry: Running) -> None:
    name = f"{registry.host}/x/site"
    for tag in ("1", "2"):
        first("tag", f"site:{tag}", f"{name}:{tag}")
    done = first("push", "--all-tags", name)
    assert re.findall(r"^(\d): digest: ", done.stdout, re.MULTILINE) == ["1", "2"]
    assert sorted(skopeo.json("list-tags", "--tls-verify=false", f"docker://{name}")["Tags"]) == ["1", "2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody"], "Error: An image does not exist locally with the tag: nobody"),
        (["-a", "nobody"], "Error: An image does not exist locally with the tag: nobody"),
        (["-a", "site:1"], "Error: invalid reference format: 'site:1': tag can't be used with --all-tags/-a"),
        (
            [f"site@sha256:{'0' * 64}"],
            f"Error: invalid reference format: 'site@sha256:{'0' * 64}': cannot push a digest",
        ),
        (["--compression", "lz4", "site:1"], "Error: invalid compression 'lz4': there are gzip, zstd"),
        (["--compression-level", "9", "site:1"], "Error: invalid level 9 of gzip: it is 0 to 3"),
    ],
)
def test_what_cannot_be_pushed(first: Lamina, words: list[str], said: str) -> None:
    done = first("push", *words, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(said)


@DRIVERS
def test_a_damaged_layer_does_not_go_out(first: Lamina, registry: Running, driver: str) -> None:
    name = f"{registry.host}/x/site:1"
    _tag(first, name)
    _migrate(first, driver)
    if driver == "overlay2":
        found, said = "overlay2/*/diff/www/more", "is damaged: file integrity checksum failed for 'www/more'"
    else:
        found, said = "erofs/*/layer.tar", "was modified in the store; load or build its image again: expected crc64:"
    path = max(glob.glob(f"{first.root}/{found}"), key=os.path.getsize)  # others are whiteouts, or smaller
    with open(path, "r+b") as file:
        file.seek(2048)
        before = file.read(4)
        file.seek(2048)
        file.write(b"oops")
    done = first("push", name, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}", check=False).returncode
    with open(path, "r+b") as file:
        file.seek(2048)
        file.write(before)


def test_what_is_kept_is_listed_and_pruned(store: Stores) -> None:
    library = Library()
    sample = samples.fill(library, *samples.layers(50_000, 20_000, 10_000))
    with Server(library) as server:
        lamina, name = store("second"), f"{server.host}/a/b:1"
        lamina("content", "keep", "--layers", "40kb", "--partial", "1g", "--partial-age", "1h")
        lamina("pull", name)
        form = ["content", "ls", "--format", "{{.Kind}} {{.Digest}} {{.InUse}}"]
        kept = set(lamina(*form).stdout.splitlines())
        assert f"document {sample.manifest.digest} yes" in kept
        layers = [line for line in kept if line.startswith("layer")]
        assert 1 <= len(layers) <= 2
        assert f"layer {sample.layers[0].digest} yes" not in kept  # it alone is more than the bound
        assert lamina("content", "prune", "-f").stdout == "Total reclaimed space: 0B\n"
        assert "Deleted content:" in lamina("content", "prune", "-f", "-a").stdout
        assert lamina(*form).stdout == f"document {sample.manifest.digest} yes\n"
        lamina("rmi", name)
        assert lamina("content", "prune", "-f").stdout.startswith(f"Deleted content:\n{sample.manifest.digest}\n")
        assert not lamina("content", "ls", "-q").stdout
        assert lamina("content", "keep").stdout == "layers: 41kB\npartial: 1.07GB\npartial age: 1h\n"


@DRIVERS
def test_who_may(first: Lamina, store: Stores, tmp_path: pathlib.Path, driver: str) -> None:
    """All that take part say who we are."""
    peers.need(Distribution.missing())
    _migrate(first, driver)
    with Distribution(str(tmp_path / "locked"), locked=True) as registry:
        name = f"{registry.host}/x/site:2"
        _tag(first, name)
        refused = first("push", name, check=False)
        assert refused.returncode == 1
        assert "needs 'lamina login'" in refused.stderr
        for lamina in (first, store("second")):
            lamina("login", "-u", USER, "--password-stdin", registry.host, input=PASSWORD)
        assert first("push", name).stdout.count(": Pushed") == 3
        assert store("second")("pull", name).stdout.count("Pull complete") == 3


@contextlib.contextmanager
def _silent() -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """Run a registry that does not answer where uploads begin; yield its host, what tells of one, and what ends it."""
    asked, speak = threading.Event(), threading.Event()

    def before(one: Asked) -> Reply | None:
        if "/blobs/uploads/" not in one.path:
            return None
        asked.set()
        speak.wait(60)
        return Reply(403)

    with Server(Library(before)) as server:
        yield server.host, asked, speak


def _migrate(lamina: Lamina, driver: str) -> None:
    if lamina.driver != driver:
        lamina("system", "migrate", "--quiet", "--to", driver)


def _tag(lamina: Lamina, name: str) -> None:
    """Give `site:1` and `site:2` the name of another repository; a tag of that does not count."""
    repository, colon, tag = name.rpartition(":")
    for number in ("1", "2"):
        lamina("tag", f"site:{number}", f"{repository if colon and '/' not in tag else name}:{number}")


def _raw(name: str) -> bytes:
    return skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}").stdout.encode()


def _layers(name: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(_raw(name))["layers"]
    return found


def _diff_ids(lamina: Lamina, name: str) -> list[str]:
    return [digest.short(one) for one in lamina.json("inspect", name)[0]["RootFS"]["Layers"]]
