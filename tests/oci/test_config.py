"""Image configs: those that Docker wrote go in and out without a change."""

import gzip
import json
import pathlib
import tarfile

import msgspec
import pytest

from lamina.oci import codec, config, digest
from lamina.oci.codec import InvalidDocument
from lamina.oci.platform import Platform

ARCHIVE = pathlib.Path(__file__).parent.parent / "data" / "archive" / "docker-20.10.tar.gz"
IMPORTED = (
    b'{"architecture":"amd64","comment":"imp","config":{"Hostname":"","Domainname":"","User":"","AttachStdin":false,'
    b'"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,'
    b'"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null},"container_config":'
    b'{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":'
    b'false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"",'
    b'"Entrypoint":null,"OnBuild":null,"Labels":null},"created":"2026-11-24T08:14:46.781584362Z","docker_version":'
    b'"20.10.24+dfsg1","history":[{"created":"2026-11-24T08:14:46.781584362Z","comment":"imp"}],"os":"linux","rootfs":'
    b'{"type":"layers","diff_ids":["sha256:d0caabfacca5bcbf3197191c7eb4df8cf38ff57d7b9c302ed1790064469b22b7"]}}'
)
D = "sha256:" + "d" * 64


def docker_configs() -> dict[str, bytes]:
    """The configs that dockerd 20.10 made, by the name that it gave: of a build and of a commit on it."""
    with gzip.open(ARCHIVE) as plain, tarfile.open(fileobj=plain) as tar:
        members = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        files = {name: file.read() for name, file in members.items() if file is not None}
    return {item["RepoTags"][0]: files[item["Config"]] for item in json.loads(files["manifest.json"])}


@pytest.mark.parametrize("raw", [docker_configs()["a:1"], IMPORTED])
def test_what_docker_wrote_goes_out_as_it_came(raw: bytes) -> None:
    plain = raw.replace(rb"\u0026", b"&")  # Go escapes what HTML would read
    assert codec.encode(config.parse(raw)) == plain


def test_what_docker_committed_keeps_every_value() -> None:
    raw = docker_configs()["a:2"]  # before Docker 28, the author stood before created_by in a history
    assert json.loads(codec.encode(config.parse(raw))) == json.loads(raw)


def test_what_docker_built() -> None:
    image = config.parse(docker_configs()["a:1"])
    assert image.run.exposed_ports == {"80/tcp": {}, "53/udp": {}}
    assert image.run.healthcheck == config.Health(["CMD", "/f", "ok"], interval=5 * 10**9, retries=2)
    assert image.run.shell == ["/f", "-c"]
    assert image.run.on_build == ["COPY x /x"]
    assert image.platform == Platform("amd64", "linux")
    assert [step.empty_layer for step in image.steps].count(False) == len(image.diff_ids) == 2
    assert image.container_config
    assert image.container_config.hostname == "dd506b3f2e5d"


def test_what_is_absent_stays_absent() -> None:
    minimal = b'{"architecture":"","created":null,"os":"","rootfs":{"type":"layers","diff_ids":[]}}'
    assert codec.encode(config.parse(minimal)) == minimal
    nulls = (
        b'{"architecture":"","config":null,"created":null,"history":null,"os":"","rootfs":{"type":"x","diff_ids":[]}}'
    )
    assert codec.encode(config.parse(nulls)) == nulls


def test_keys_are_sorted_and_those_of_a_run_config_in_dockers_order() -> None:
    image = config.Image(**dict.fromkeys(("author", "comment", "container", "parent", "variant"), "x"))  # type: ignore[arg-type]
    keys = list(json.loads(codec.encode(image)))
    assert keys == sorted(keys)
    full = json.loads(docker_configs()["a:1"])["config"]
    names = [field.encode_name for field in msgspec.structs.fields(config.RunConfig)]
    assert [name for name in names if name in full] == list(full)


def test_defaults_of_what_is_absent() -> None:
    image = config.parse(b'{"rootfs":{"diff_ids":[]}}')
    assert (image.run, image.steps, image.diff_ids) == (config.RunConfig(), [], [])
    assert image.platform == Platform()


def test_unknown_keys_are_passed_over() -> None:
    assert config.parse(b'{"rootfs":{"diff_ids":[],"x":1},"moby.buildkit.cache.v0":"abc"}').diff_ids == []


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "it is invalid"),
        (b"{}", "it is invalid: it has no rootfs"),
        (b'{"rootfs":null}', "it is invalid: it has no rootfs"),
        (b'{"rootfs":{"diff_ids":null}}', "it is invalid: .*diff_ids"),
        (b'{"rootfs":{"diff_ids":[]},"config":[]}', "it is invalid: .*config"),
        (b'{"rootfs":{"diff_ids":[]},"config":{"Env":"A=1"}}', "it is invalid: .*Env"),
        (b'{"rootfs":{"diff_ids":[]},"history":[{}]}', "it is invalid: too many non-empty layers in its history"),
        (b'{"rootfs":{"diff_ids":[]},"os":1}', "it is invalid: .*os"),
        (b'{"rootfs":{"diff_ids":["x"]}}', "it is invalid: invalid digest 'x'"),
    ],
)
def test_refused(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidDocument, match=f"^{why}"):
        config.parse(raw, "it")


def test_less_history_than_layers_will_do() -> None:
    raw = codec.encode({"rootfs": {"type": "layers", "diff_ids": [D, D]}, "history": [{}, {"empty_layer": True}]})
    assert config.parse(raw).diff_ids == [digest.parse(D)] * 2


def test_nested_too_deep() -> None:
    with pytest.raises(InvalidDocument, match="nested too deep"):
        config.parse(b'{"rootfs":{"x":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_002)
