"""What builds make of their instructions."""

import io
import os
import tarfile

import pytest
from tests.build.workshop import Workshop

from lamina.build import steps
from lamina.build.builder import BaseNotFound, Options
from lamina.build.context import NoDockerfile
from lamina.build.inputs import Inputs
from lamina.build.plan import UnknownStage
from lamina.build.sources import OutsideContext
from lamina.dockerfile.mistakes import Malformed
from lamina.engine import Engine
from lamina.errors import InvalidArgument, LaminaError
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.store import names
from lamina.store.store import Store

pytestmark = [pytest.mark.root, pytest.mark.overlay]


def test_only_from_is_the_same_image(workshop: Workshop) -> None:
    assert workshop.build("FROM base\n", "again:1") == workshop.engine.inspect_image("base")["Id"]
    assert workshop.engine.inspect_image("base")["RepoTags"] == ["again:1", "base:latest"]


def test_stages_give_files_by_name_number_and_image(workshop: Workshop) -> None:
    workshop.write({"a": "a", "b": "b"})
    built = workshop.build(
        "FROM base AS First\nCOPY a /made/a\n"
        "FROM base\nCOPY b /made/b\n"
        "FROM scratch\nCOPY --from=first /made /x/\nCOPY --from=1 /made/b /y\nCOPY --from=base /base /z\n"
    )
    assert workshop.files(built) == {"x/a": b"a", "y": b"b", "z": b"base\n"}


def test_stages_that_are_not_needed_are_not_built(workshop: Workshop) -> None:
    workshop.write({"a": "a"})
    built = workshop.build("FROM base AS one\nCOPY a /a\nFROM nowhere AS two\nFROM one AS three\n", target="one")
    assert workshop.files(built) == {"base": b"base\n", "a": b"a"}
    assert "nowhere" not in workshop.said
    assert workshop.said.startswith("Step 1/2 : FROM base AS one\n")


def test_a_stage_stands_on_an_earlier_one(workshop: Workshop) -> None:
    built = workshop.build("FROM base AS one\nENV A=1\nARG B=2\nFROM one\nENV C=$A-$B\n")
    assert "C=1-" in (workshop.run(built).env or []), "ENV is inherited, ARG is not"


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "global"), ({"A": "given"}, "given"), ({"A": ""}, "")],
)
def test_an_argument_of_before_the_first_from(workshop: Workshop, given: dict[str, str | None], expected: str) -> None:
    built = workshop.build("ARG A=global\nFROM base\nENV UNSEEN=$A\nARG A\nENV SEEN=$A\n", arguments=given)
    env = workshop.run(built).env or []
    assert "UNSEEN=" in env
    assert f"SEEN={expected}" in env


def test_arguments_name_the_base(workshop: Workshop) -> None:
    workshop.build("ARG B=nowhere\nFROM ${B}\n", arguments={"B": "base"})
    with pytest.raises(BaseNotFound, match="nowhere"):
        workshop.build("ARG B=nowhere\nFROM ${B}\n")


def test_arguments_that_nobody_asks_for_are_named(workshop: Workshop) -> None:
    workshop.build("FROM base\nARG A\n", arguments={"A": "1", "Y": "1", "X": "1", "HTTP_PROXY": "p"})
    assert "[Warning] One or more build-args [X Y] were not consumed\n" in workshop.said


def test_triggers_run_in_the_next_build_and_are_gone(workshop: Workshop) -> None:
    workshop.write({"a": "a"})
    parent = workshop.build("FROM base\nONBUILD COPY a /a\nONBUILD ENV A=1\n", "parent")
    assert workshop.run(parent).on_build == ["COPY a /a", "ENV A=1"]
    built = workshop.build("FROM parent\n")
    assert "# Executing 2 build triggers\n" in workshop.said
    assert workshop.files(built)["a"] == b"a"
    assert workshop.run(built).on_build is None


def test_labels_of_the_command_line_come_last_and_as_they_are(workshop: Workshop) -> None:
    built = workshop.build("FROM base\nLABEL a=1 b=1\n", labels={"b": "$x", "c": "3"})
    assert workshop.run(built).labels == {"a": "1", "b": "$x", "c": "3"}


def test_a_time_makes_builds_reproducible(workshop: Workshop) -> None:
    workshop.write({"a": "a"})
    text = "FROM scratch\nCOPY a /deep/down/a\nWORKDIR /w\nCOPY <<EOF /note\nhello\nEOF\n"
    epoch: dict[str, str | None] = {"SOURCE_DATE_EPOCH": "1000000000"}
    first = workshop.build(text, arguments=epoch, cached=False)
    os.utime(os.path.join(workshop.context, "a"), (2_000_000_000, 2_000_000_000))
    assert workshop.build(text, arguments=epoch, cached=False) == first
    assert workshop.image(first).created == "2001-09-09T01:46:40Z"


def test_a_dockerfile_alone_has_no_files(workshop: Workshop) -> None:
    with pytest.raises(LaminaError, match="no context"):
        workshop.engine.build(Inputs(stream=io.BytesIO(b"FROM base\nCOPY /../x /\n")), Options())
    workshop.engine.build(Inputs(stream=io.BytesIO(b"FROM base\nENV A=1\n")), Options())


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_is_a_context(workshop: Workshop, mode: str) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
        for name, text in {"x/Build": b"FROM base\nCOPY . /\n", "a": b"a", "b": b"b", ".dockerignore": b"b\n"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    file.seek(0)
    built = workshop.engine.build(Inputs(stream=file, dockerfile="x/Build"), Options())
    found = workshop.files(built)
    assert found["a"] == b"a"
    assert "b" not in found
    assert os.listdir(workshop.engine._store.paths.tmp) == []


def test_the_dockerfile_may_be_anywhere(workshop: Workshop, tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "Elsewhere")
    with open(path, "w") as file:
        file.write("FROM base\nENV A=1\n")
    workshop.engine.build(Inputs(folder=workshop.context, dockerfile=path), Options())
    workshop.write({"dockerfile": "FROM base\n"})
    workshop.engine.build(Inputs(folder=workshop.context), Options())
    os.unlink(os.path.join(workshop.context, "dockerfile"))
    with pytest.raises(NoDockerfile, match="Dockerfile: no such file"):
        workshop.engine.build(Inputs(folder=workshop.context), Options())


@pytest.mark.parametrize(
    ("text", "kind", "match"),
    [
        ("", Malformed, "cannot be empty"),
        ("# nothing\n", Malformed, "no instructions"),
        ("FROM base\nFORM x\n", Malformed, ":2: .*FORM.*did you mean FROM"),
        ("FROM scratch\n", InvalidArgument, "No image was generated"),
        ("FROM absent\n", BaseNotFound, "absent"),
        ("FROM base\nCOPY --from=5 /a /b\n", InvalidArgument, "from flag value 5"),
        ("FROM base\nCOPY --from=absent /a /b\n", BaseNotFound, "absent"),
        ("FROM base\nCOPY ../x /\n", OutsideContext, "outside the build context"),
        ("FROM base\nCOPY absent /\n", LaminaError, "COPY failed: .* absent"),
        ("FROM base\nCOPY base base /x\n", InvalidArgument, "must be a directory"),
        ("FROM base\nCOPY --chown=nobody base /\n", InvalidArgument, "nobody"),
        ("FROM base\nCOPY --chmod=u+x base /\n", InvalidArgument, "octal"),
        ("FROM base\nRUN --mount=type=cache,target=/x true\n", LaminaError, ":2: .*mount"),
        ("FROM base\nENV A=${B:?missing}\n", Malformed, ":2: .*missing"),
        ("FROM --platform=linux/s390x base\n", InvalidArgument, "does not match the specified platform"),
        ("FROM base\nEXPOSE 70000\n", InvalidArgument, "Invalid containerPort"),
        ("FROM base\nSTOPSIGNAL SIGNONE\n", InvalidArgument, "Invalid signal"),
    ],
)
def test_a_mistake_is_told(workshop: Workshop, text: str, kind: type[LaminaError], match: str) -> None:
    with pytest.raises(kind, match=match):
        workshop.build(text)


def test_an_unknown_target_is_told(workshop: Workshop) -> None:
    with pytest.raises(UnknownStage, match="nope"):
        workshop.build("FROM base AS one\n", target="nope")


def test_add_unpacks_a_tar_however_it_is_packed(workshop: Workshop) -> None:
    workshop.write({"t/inner": "inner"})
    for kind in ("", "gz", "bz2", "xz"):
        with tarfile.open(os.path.join(workshop.context, f"a{kind}.tar"), f"w:{kind}") as tar:  # type: ignore[call-overload]
            tar.add(os.path.join(workshop.context, "t/inner"), "inner")
        built = workshop.build(f"FROM base\nADD a{kind}.tar /x/\n")
        assert workshop.files(built) == {"base": b"base\n", "x/inner": b"inner"}


def test_the_umask_makes_no_difference(workshop: Workshop) -> None:
    workshop.write({"a": "a"})
    text = "FROM base\nCOPY a /new/folder/\nWORKDIR /work/here\n"
    built = []
    for mask in (0o022, 0o077):
        before = os.umask(mask)
        try:
            built.append(workshop.build(text, arguments={"SOURCE_DATE_EPOCH": "1"}, cached=False))
        finally:
            os.umask(before)
    assert built[0] == built[1]


def test_an_owner_without_root_is_refused(tmp_path: os.PathLike[str]) -> None:
    workshop = Workshop(os.fspath(tmp_path), "vfs")
    workshop.engine._store.privileged = False
    workshop.write({"a": "a"})
    assert workshop.build("FROM scratch\nCOPY --chown=0:0 a /a\n")
    with pytest.raises(Malformed, match=r"ockerfile:3: .*--chown=5:6 needs root"):
        workshop.build("FROM scratch\nCOPY a /a\nADD --chown=5:6 a /b\n")


def test_an_image_that_is_deleted_while_it_gets_its_names(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    name_image = names.name_image

    def meanwhile(store: Store, name: Reference, image_id: Digest) -> Digest | None:
        with Engine(store.paths.root, store.driver_name) as other:
            other.remove_image(image_id, force=True)
        return name_image(store, name, image_id)

    monkeypatch.setattr(steps, "name_image", meanwhile)
    built = workshop.build("FROM base\nENV A=1\n", "made:1")
    assert workshop.engine.inspect_image("made:1")["Id"] == built
    assert list(workshop.engine.check()) == []
