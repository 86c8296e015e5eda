"""The clients of others with our registry, and our client with Debian's docker-registry, by all ways in.

What goes in comes out again: the manifest, the config and the layers have the same digests with the one who pushes, in
the registry's folder, and with the one who pulls.
"""

import pathlib
from typing import Any

import pytest
from bench.images import Image
from tests.compat.clients import Client, Copy, known, stored
from tests.compat.doors import WAYS, Door, ours
from tests.peers import Failed
from tests.registry import certificates

pytestmark = [pytest.mark.docker, pytest.mark.podman, pytest.mark.skopeo, pytest.mark.root]

THEIRS = ("docker", "podman", "skopeo")
PAIRS = [*(("lamina", client) for client in THEIRS), ("docker-registry", "lamina")]

UNASKED = {
    ("docker", "passwords"): "no basic auth credentials",
    ("docker", "tokens"): "requested access to the resource is denied",
    ("podman", "passwords"): "authentication (is )?required",
    ("podman", "tokens"): "requested access to the resource is denied",
    ("skopeo", "passwords"): "authentication (is )?required",
    ("skopeo", "tokens"): "requested access to the resource is denied",
    ("lamina", "passwords"): "needs 'lamina login'",
    ("lamina", "tokens"): "needs 'lamina login'",
}
"""What a client says that has no password."""

WRONG = {
    ("docker", "passwords"): "failed with status: 401 Unauthorized",
    ("docker", "tokens"): "unauthorized: the user or the password is wrong",
    ("podman", "passwords"): "invalid username/password",
    ("podman", "tokens"): "invalid username/password",
    ("skopeo", "passwords"): "invalid username/password",
    ("skopeo", "tokens"): "invalid username/password",
    ("lamina", "passwords"): "it does not accept this username and password",
    ("lamina", "tokens"): "it does not accept this username and password",
}
"""What a client says when it logs in with a wrong one."""


def cases(*ways: str) -> Any:
    """Parametrize a test by a registry, a way into it, and a client: all pairs, by some ways."""
    rows = [(f"by_{client}", (registry, way), (client, way)) for registry, client in PAIRS for way in ways]
    names = [f"{client}-{registry}-{way}" for registry, client in PAIRS for way in ways]
    return pytest.mark.parametrize(("client", "door", "case"), rows, ids=names, indirect=["client", "door"])


@cases(*WAYS)
def test_in_and_out_again(client: Client, door: Door, case: tuple[str, str], tiny: Image) -> None:
    name = f"{door.host}/team/app:{case[0]}"
    with known(client, door):
        told = client.push(tiny, name, door)
        found = stored(door, "team/app", case[0])
        assert found == Copy(told, tiny.id, tuple(layer.diff_id for layer in tiny.layers))
        assert client.pull(name, door) == found


@cases("passwords", "tokens")
def test_who_is_not_known_is_refused(client: Client, door: Door, case: tuple[str, str], tiny: Image) -> None:
    name = f"{door.host}/secret/app:1"
    refused = client.login(door, "wrong")
    assert refused.returncode
    assert WRONG[case] in refused.stderr
    with pytest.raises(Failed, match=UNASKED[case]):
        client.push(tiny, name, door)
    with pytest.raises(Failed, match=UNASKED[case]):
        client.pull(name, door)
    assert not (door.storage / "docker/registry/v2/repositories/secret").exists()


@pytest.mark.parametrize("client", [f"by_{name}" for name in (*THEIRS, "lamina")], indirect=True)
def test_who_has_no_certificate_is_not_trusted(client: Client, tiny: Image, tmp_path: pathlib.Path) -> None:
    with ours(tmp_path, "tls", certificates.make(tmp_path / "stranger")) as door:
        name = f"{door.host}/team/app:1"
        with pytest.raises(Failed, match="certificate"):
            client.push(tiny, name, door)
        with pytest.raises(Failed, match="certificate"):
            client.pull(name, door)
        assert not (door.storage / "docker/registry/v2/repositories").exists()


@pytest.mark.parametrize(
    ("door", "pusher"),
    [(("lamina", "tls"), who) for who in (*THEIRS, "lamina")] + [(("docker-registry", "tls"), "lamina")],
    indirect=["door"],
    ids=[*THEIRS, "lamina", "lamina-docker-registry"],
)
def test_what_one_pushes_all_pull(pusher: str, door: Door, clients: dict[str, Client], tiny: Image) -> None:
    name = f"{door.host}/by/{pusher}:1"
    clients[pusher].push(tiny, name, door)
    found = stored(door, f"by/{pusher}", "1")
    assert {who: client.pull(name, door) for who, client in clients.items()} == dict.fromkeys(clients, found)


@pytest.mark.parametrize("door", [("docker-registry", "tls")], indirect=True, ids=["docker-registry"])
@pytest.mark.parametrize("pusher", THEIRS)
def test_what_others_push_lamina_pulls(pusher: str, door: Door, clients: dict[str, Client], tiny: Image) -> None:
    name = f"{door.host}/of/{pusher}:1"
    clients[pusher].push(tiny, name, door)
    assert clients["lamina"].pull(name, door) == stored(door, f"of/{pusher}", "1")
