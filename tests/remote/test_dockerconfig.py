"""Credentials as Docker keeps them: in its file, and with the programs that it names."""

import base64
import json
import os
import pathlib
import stat
from typing import Any

import pytest
from tests import peers
from tests.cli.place import Lamina
from tests.peers import Podman, Tool
from tests.registry.distribution import PASSWORD, USER, Distribution

from lamina.errors import InvalidArgument, LaminaError
from lamina.oci.codec import InvalidDocument
from lamina.remote.credentials import HUB, Credential, Several
from lamina.remote.dockerconfig import DockerConfig
from lamina.remote.programs import ProgramFailed

ME = Credential("me", "secret word")
PROGRAM = """#!/bin/sh
# keeps each registry in a file of its own beside this program
cd "${0%/*}" || exit 1
read -r said
case $1 in
get) name=$(printf %s "$said" | tr / _)
     [ -f "kept-$name" ] || { echo "credentials not found in native keychain"; exit 1; }
     cat "kept-$name" ;;
store) name=$(printf %s "$said" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/' | tr / _)
     printf %s "$said" > "kept-$name" ;;
erase) rm "kept-$(printf %s "$said" | tr / _)" ;;
esac
"""


def auth(name: str = "me", password: str = "secret word") -> str:
    return base64.b64encode(f"{name}:{password}".encode()).decode()


class Home:
    """A folder with a config.json, and one of programs."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / "docker" / "config.json"
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.config = DockerConfig(str(self.path), {"PATH": f"{self.programs}:/usr/bin:/bin"})

    def write(self, value: object) -> None:
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(value if isinstance(value, str) else json.dumps(value))

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    def program(self, name: str, text: str = PROGRAM) -> None:
        path = self.programs / f"docker-credential-{name}"
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def home(tmp_path: pathlib.Path) -> Home:
    return Home(tmp_path)


class TestFile:
    def test_there_is_none(self, home: Home) -> None:
        assert home.config.find("docker.io") is None
        assert not home.config.erase("docker.io")
        assert not home.path.exists()

    @pytest.mark.parametrize("name", ["h:5000", "https://h:5000", "http://h:5000/v1/", "h:5000/v2/"])
    def test_names_of_a_registry(self, home: Home, name: str) -> None:
        home.write({"auths": {name: {"auth": auth()}, "other": {"auth": auth("you", "x")}}})
        assert home.config.find("h:5000") == ME
        assert home.config.find("h") is None

    @pytest.mark.parametrize("name", [HUB, "docker.io", "index.docker.io", "https://registry-1.docker.io/v2/"])
    def test_names_of_the_hub(self, home: Home, name: str) -> None:
        home.write({"auths": {name: {"auth": auth()}}})
        assert home.config.find("docker.io") == ME

    def test_the_exact_name_comes_first(self, home: Home) -> None:
        home.write({"auths": {"https://h/v1/": {"auth": auth("you", "x")}, "h": {"auth": auth()}}})
        assert home.config.find("h") == ME

    def test_what_an_entry_may_have(self, home: Home) -> None:
        entries = {
            "a": {"username": "me", "password": "secret word"},
            "b": {"auth": auth(password="with:colon\0")},
            "c": {"auth": auth(password=""), "identitytoken": "lasting"},
            "d": {"registrytoken": "theirs"},
            "e": {},
            "f": {"auth": "", "email": "old@example"},
        }
        home.write({"auths": entries})
        assert home.config.find("a") == ME
        assert home.config.find("b") == Credential("me", "with:colon")
        assert home.config.find("c") == Credential("me", "", "lasting")
        assert home.config.find("d") == Credential(registry_token="theirs")
        assert home.config.find("e") is None
        assert home.config.find("f") is None

    def test_store_and_erase(self, home: Home) -> None:
        home.config.store("docker.io", ME)
        home.config.store("h:1", Credential("me", identity_token="lasting"))
        assert home.read()["auths"] == {
            HUB: {"auth": auth()},
            "h:1": {"auth": auth(password=""), "identitytoken": "lasting"},
        }
        assert stat.S_IMODE(home.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(home.path.parent.stat().st_mode) == 0o700
        assert home.config.find("docker.io") == ME
        assert home.config.erase("docker.io")
        assert not home.config.erase("docker.io")
        assert list(home.read()["auths"]) == ["h:1"]

    def test_what_else_is_there_stays(self, home: Home) -> None:
        home.write({"detachKeys": "ctrl-e,e", "HttpHeaders": {"X": "y"}, "auths": {"https://h/v1/": {"auth": "eDp5"}}})
        home.config.store("h", ME)
        assert home.read() == {"detachKeys": "ctrl-e,e", "HttpHeaders": {"X": "y"}, "auths": {"h": {"auth": auth()}}}

    def test_a_link_stays_one(self, home: Home, tmp_path: pathlib.Path) -> None:
        (tmp_path / "elsewhere.json").write_text("{}")
        home.path.parent.mkdir()
        home.path.symlink_to(tmp_path / "elsewhere.json")
        home.config.store("h", ME)
        assert home.path.is_symlink()
        assert home.config.find("h") == ME

    @pytest.mark.parametrize(
        "text", ["{", "[]", '{"auths":[]}', '{"auths":{"h":3}}', "[" * 100_000, '{"credsStore":3}']
    )
    def test_a_malformed_one(self, home: Home, text: str) -> None:
        home.write(text)
        for verb in (home.config.find, home.config.erase, lambda host: home.config.store(host, ME)):
            with pytest.raises(InvalidDocument, match=r"config\.json is"):
                verb("h")
        assert home.path.read_text() == text

    @pytest.mark.parametrize("text", ["secret word", "!!!", base64.b64encode(b"secret word").decode(), "/w=="])
    def test_a_malformed_entry_is_not_shown(self, home: Home, text: str) -> None:
        home.write({"auths": {"h": {"auth": text}}})
        with pytest.raises(InvalidDocument, match="auth of h") as caught:
            home.config.find("h")
        assert text not in str(caught.value)
        assert "secret" not in str(caught.value)


class TestPrograms:
    def test_the_store_of_all(self, home: Home) -> None:
        home.program("box")
        home.write({"credsStore": "box"})
        assert not home.config.keeps_plain("h")
        assert home.config.find("h") is None
        home.config.store("h", ME)
        home.config.store("docker.io", Credential("me", identity_token="lasting"))
        assert home.config.find("h") == ME
        assert home.config.find("docker.io") == Credential(identity_token="lasting")
        assert home.read() == {"credsStore": "box", "auths": {"h": {}, HUB: {}}}
        assert "secret" not in home.path.read_text()
        assert home.config.erase("h")
        assert home.config.find("h") is None
        assert list(home.read()["auths"]) == [HUB]

    def test_one_registrys_own(self, home: Home) -> None:
        home.program("box")
        home.program("other", PROGRAM.replace("kept-", "other-"))
        home.write({"credsStore": "box", "credHelpers": {"h:5000": "other"}})
        home.config.store("h:5000", ME)
        assert max(os.listdir(home.programs)) == "other-h:5000"
        assert home.config.find("h:5000") == ME

    def test_what_the_program_does_not_know_may_be_in_the_file(self, home: Home) -> None:
        home.program("box")
        home.write({"credsStore": "box", "auths": {"h": {"auth": auth()}}})
        assert home.config.find("h") == ME

    def test_one_that_is_not_there(self, home: Home) -> None:
        home.write({"credsStore": "box"})
        with pytest.raises(ProgramFailed, match=r"docker-credential-box is named in .*, and is not in"):
            home.config.find("h")

    @pytest.mark.parametrize("name", ["../x", "/bin/sh", "a b", "-x", ".."])
    def test_what_is_no_name(self, home: Home, name: str) -> None:
        home.write({"credsStore": name})
        with pytest.raises(InvalidArgument, match="no name of a credential helper"):
            home.config.find("h")

    @pytest.mark.parametrize(
        "does", ["echo '{\"Username\":'", "echo", "echo locked; exit 1", "exit 3", "echo '[]'", "kill -9 $$"]
    )
    def test_one_that_fails(self, home: Home, does: str) -> None:
        home.program("box", f"#!/bin/sh\n{does}\n")
        home.write({"credsStore": "box"})
        with pytest.raises(ProgramFailed, match="docker-credential-box get"):
            home.config.find("h")

    def test_what_it_says_is_not_a_secret_of_ours(self, home: Home) -> None:
        home.program("box", "#!/bin/sh\ncat >&2\nexit 1\n")
        home.write({"credsStore": "box"})
        with pytest.raises(LaminaError) as caught:
            home.config.store("h", ME)
        assert "secret" not in str(caught.value)


class TestPodman:
    """Its file is read where Docker's knows nothing."""

    @pytest.fixture
    def both(self, home: Home, tmp_path: pathlib.Path) -> Several:
        auths = {"h:1": {"auth": auth()}, "docker.io": {"auth": auth()}, "part/of": {"auth": auth()}}
        (tmp_path / "auth.json").write_text(json.dumps({"auths": auths}))
        return Several(home.config, DockerConfig(str(tmp_path / "auth.json"), {}, podman=True))

    @pytest.mark.parametrize(("host", "expected"), [("h:1", ME), ("docker.io", ME), ("part", None), ("h", None)])
    def test_without_dockers(self, both: Several, host: str, expected: Credential | None) -> None:
        assert both.find(host) == expected

    def test_dockers_comes_first(self, both: Several, home: Home) -> None:
        home.write({"auths": {"h:1": {"auth": auth("you", "x")}}})
        assert both.find("h:1") == Credential("you", "x")
        assert both.find("docker.io") == ME

    def test_a_helper_is_asked_by_the_bare_name(self, home: Home, tmp_path: pathlib.Path) -> None:
        home.program("pod")
        (home.programs / "kept-docker.io").write_text('{"Username":"me","Secret":"secret word"}')
        (tmp_path / "auth.json").write_text('{"credHelpers":{"docker.io":"pod"}}')
        environment = {"PATH": f"{home.programs}:/usr/bin:/bin"}
        assert DockerConfig(str(tmp_path / "auth.json"), environment, podman=True).find("docker.io") == ME


@pytest.mark.parametrize("variable", ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"])
def test_logged_in_with_podman(tmp_path: pathlib.Path, variable: str) -> None:
    peers.need(Distribution.missing(), Podman.missing())
    where = tmp_path / "containers" / "auth.json"
    with Distribution(str(tmp_path / "registry"), locked=True) as registry:
        lamina = Lamina(str(tmp_path / "store"), env={"DOCKER_CONFIG": str(tmp_path / "docker")})
        podman = Tool("podman")
        podman("login", "--authfile", str(where), "--tls-verify=false", "-u", USER, "-p", PASSWORD, registry.host)
        before = where.read_bytes()
        assert lamina("tags", f"{registry.host}/a", check=False).stderr.startswith("Error: access to ")
        value = {"REGISTRY_AUTH_FILE": str(where), "XDG_RUNTIME_DIR": str(tmp_path)}[variable]
        assert "not found" in lamina("tags", f"{registry.host}/a", env={variable: value}, check=False).stderr
        assert lamina("logout", registry.host, env={variable: value}).stdout.startswith("Not logged in")
        assert where.read_bytes() == before
