"""The cache: the same text and the same files give the same step, anything else another one."""

import os
from collections.abc import Callable

import pytest
from tests.build.workshop import Workshop

pytestmark = [pytest.mark.root, pytest.mark.overlay]

COPY = "FROM base\nCOPY src /src\nENV A=1\n"
FILES = {"src/a": "a", "src/b/c": "c", "src/skipped.log": "log", ".dockerignore": "**/*.log\n"}


def test_the_same_build_is_found(workshop: Workshop) -> None:
    workshop.write(FILES)
    first = workshop.build(COPY)
    assert workshop.cached == 0
    assert workshop.build(COPY) == first
    assert workshop.cached == 2


def _in(name: str) -> Callable[[Workshop], str]:
    return lambda workshop: os.path.join(workshop.context, "src", name)


def _link(at: Workshop) -> None:
    os.unlink(_in("a")(at))
    os.symlink("b/c", _in("a")(at))


EDITS: dict[str, Callable[[Workshop], None]] = {
    "content of the same size": lambda at: at.write({"src/a": "b"}),
    "content deeper down": lambda at: at.write({"src/b/c": "other"}),
    "a new file": lambda at: at.write({"src/new": ""}),
    "a file removed": lambda at: os.unlink(_in("a")(at)),
    "a file renamed": lambda at: os.rename(_in("a")(at), _in("z")(at)),
    "permissions": lambda at: os.chmod(_in("a")(at), 0o755),
    "a link instead of a file": _link,
    "an empty directory": lambda at: os.mkdir(_in("empty")(at)),
    "an extended attribute": lambda at: os.setxattr(_in("a")(at), "user.note", b"x"),
    "the rules of what to ignore": lambda at: at.write({".dockerignore": ""}),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_is_seen(workshop: Workshop, what: str) -> None:
    workshop.write(FILES)
    first = workshop.build(COPY)
    stamp = os.stat(_in("b/c")(workshop))
    EDITS[what](workshop)
    for folder, _, names in os.walk(workshop.context):
        for name in names:
            os.utime(os.path.join(folder, name), ns=(stamp.st_atime_ns, stamp.st_mtime_ns), follow_symlinks=False)
    assert workshop.build(COPY) != first
    assert workshop.cached == 0, "after a step that is new none is looked for"


UNSEEN: dict[str, Callable[[Workshop], None]] = {
    "times": lambda at: os.utime(_in("a")(at), (1, 1)),
    "an ignored file": lambda at: at.write({"src/skipped.log": "more"}),
    "a file that is not copied": lambda at: at.write({"other": "x"}),
    "a file written again": lambda at: at.write({"src/a": "a"}),
    "the owner": lambda at: os.chown(_in("a")(at), 7, 7),
}


@pytest.mark.parametrize("what", UNSEEN)
def test_what_makes_no_difference_is_not_seen(workshop: Workshop, what: str) -> None:
    workshop.write(FILES)
    first = workshop.build(COPY)
    UNSEEN[what](workshop)
    assert workshop.build(COPY) == first
    assert workshop.cached == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("COPY src /a", "COPY src /b"),
        ("COPY src /a", "ADD src /a"),
        ("COPY --chown=1:1 src /a", "COPY --chown=2:2 src /a"),
        ("COPY --chmod=700 src/a /a", "COPY --chmod=755 src/a /a"),
        ("ENV A=1", "ENV A=2"),
        ("LABEL a=1", "LABEL a=2"),
        ("WORKDIR /a", "WORKDIR /b"),
        ("USER 1", "USER 2"),
        ('CMD ["a"]', 'CMD ["a", "b"]'),
        ('ENTRYPOINT ["a"]', 'ENTRYPOINT ["b"]'),
        ("EXPOSE 1", "EXPOSE 2"),
        ("VOLUME /a", "VOLUME /b"),
        ("STOPSIGNAL 1", "STOPSIGNAL 2"),
        ('SHELL ["a"]', 'SHELL ["b"]'),
        ("HEALTHCHECK NONE", "HEALTHCHECK CMD true"),
        ("ONBUILD ENV A=1", "ONBUILD ENV A=2"),
        ("ARG A=1", "ARG A=2"),
    ],
)
def test_another_text_is_another_step(workshop: Workshop, one: str, other: str) -> None:
    workshop.write(FILES)
    first = workshop.build(f"FROM base\n{one}\n")
    assert workshop.build(f"FROM base\n{other}\n") != first
    assert workshop.cached == 0
    assert workshop.build(f"FROM base\n{one}\n") == first
    assert workshop.cached == 1


def test_another_base_is_another_step(workshop: Workshop) -> None:
    workshop.build("FROM base\nENV A=1\n", "other")
    first = workshop.build("FROM base\nENV B=1\n")
    assert workshop.build("FROM other\nENV B=1\n") != first
    assert workshop.cached == 0


def test_no_cache_makes_all_steps_anew(workshop: Workshop) -> None:
    workshop.write(FILES)
    first = workshop.build(COPY)
    assert workshop.build(COPY, cached=False) != first
    assert workshop.cached == 0


def test_layers_that_are_the_same_are_shared_also_without_the_cache(workshop: Workshop) -> None:
    workshop.write(FILES)
    first = workshop.build(COPY)
    again = workshop.build(COPY, cached=False)
    assert workshop.image(again).diff_ids == workshop.image(first).diff_ids


def test_a_step_whose_image_was_deleted_is_made_again(workshop: Workshop) -> None:
    first = workshop.build("FROM base\nENV A=1\n", "made")
    workshop.engine.remove_image("made")
    assert workshop.build("FROM base\nENV A=1\n") != first
    assert workshop.cached == 0


def test_the_index_is_only_a_cache_itself(workshop: Workshop) -> None:
    import shutil

    first = workshop.build("FROM base\nENV A=1\n")
    shutil.rmtree(workshop.engine._store.paths.index)
    assert workshop.build("FROM base\nENV A=1\n") == first
    assert workshop.cached == 1


def test_an_argument_counts_only_where_it_is_seen(workshop: Workshop) -> None:
    text = "FROM base\nENV BEFORE=1\nARG A\nENV AFTER=$A\n"
    workshop.build(text, arguments={"A": "1"})
    workshop.build(text, arguments={"A": "2"})
    assert workshop.cached == 2, "ENV BEFORE and ARG A; its value matters where it is used"


def test_the_earlier_steps_of_a_failed_build_are_found(workshop: Workshop) -> None:
    from lamina.build.sources import SourceNotFound

    with pytest.raises(SourceNotFound, match="absent"):
        workshop.build("FROM base\nENV A=1\nCOPY absent /\n")
    workshop.build("FROM base\nENV A=1\n")
    assert workshop.cached == 1
