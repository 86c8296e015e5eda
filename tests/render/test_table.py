"""Lists, as the docker client prints them."""

import os
from collections.abc import Mapping

import pytest

from lamina.render.table import QUIET, Table, label_header
from lamina.render.tabs import align, width
from lamina.render.template import TemplateError, TemplateSyntaxError

IMAGES = Table(
    {"Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "CreatedSince": "CREATED", "Size": "SIZE"},
    r"{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}",
)
ROWS: list[Mapping[str, object]] = [
    {
        "Repository": "app",
        "Tag": "1",
        "ID": "8ad29ca10c68",
        "CreatedSince": "",
        "Size": "409MB",
        "Label": {"com.example.built-by": "me"}.get,
    },
    {"Repository": "<none>", "Tag": "<none>", "ID": "2ca708c1c9cc", "CreatedSince": "2 days ago", "Size": "1.2MB"},
]

# `$` marks the end of a line.
LISTS = {
    "table": """\
REPOSITORY   TAG       IMAGE ID       CREATED      SIZE$
app          1         8ad29ca10c68   N/A          409MB$
<none>       <none>    2ca708c1c9cc   2 days ago   1.2MB$
""",
    r"table {{.ID}}\t{{.Tag}}\t": """\
IMAGE ID       TAG       $
8ad29ca10c68   1         $
2ca708c1c9cc   <none>    $
""",
    r"table {{upper .Repository}}\t{{json .Tag}}\t{{slice .ID 0 3}}": """\
REPOSITORY   TAG        IMA$
APP          "1"        8ad$
<NONE>       "<none>"   2ca$
""",
    r"table {{.ID}}\n{{.Repository}}\t{{.Size}}": """\
IMAGE ID$
REPOSITORY   SIZE$
8ad29ca10c68$
app       409MB$
2ca708c1c9cc$
<none>    1.2MB$
""",
    r"table \t{{.ID}}{{if eq .Tag `1`}}\tx{{end}}\ty": """\
          IMAGE ID       y$
          8ad29ca10c68   x         y$
          2ca708c1c9cc   y$
""",
    r"{{.ID}}\t{{.Tag}}": """\
8ad29ca10c68	1$
2ca708c1c9cc	<none>$
""",
    "json": (
        '{"CreatedSince":"","ID":"8ad29ca10c68","Repository":"app","Size":"409MB","Tag":"1"}$\n'
        '{"CreatedSince":"2 days ago","ID":"2ca708c1c9cc","Repository":"\\u003cnone\\u003e","Size":"1.2MB",'
        '"Tag":"\\u003cnone\\u003e"}$\n'
    ),
    QUIET: """\
8ad29ca10c68$
2ca708c1c9cc$
""",
}


@pytest.mark.parametrize("form", LISTS)
def test_docker_prints(form: str) -> None:
    assert IMAGES.render(ROWS, form) == LISTS[form].replace("$\n", "\n")


def test_no_format_is_the_table() -> None:
    assert IMAGES.render(ROWS, "") == IMAGES.render(ROWS, "table") == IMAGES.render(ROWS)


def test_without_rows_a_table_has_its_headers() -> None:
    assert IMAGES.render([]) == "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n"
    assert IMAGES.render([], "json") == IMAGES.render([], QUIET) == ""


def test_headers_of_what_has_none() -> None:
    assert IMAGES.render([], r"table {{.Foo}}\t{{.ID}}") == "<no value>   IMAGE ID\n"
    assert IMAGES.render([], r"table {{.ID}}{{range .Tag}}x{{end}}\t{{.ID}}") == "IMAGE ID\n"


def test_labels_are_columns() -> None:
    text = IMAGES.render(ROWS[:1], r'table {{.Label "com.example.built-by"}}\t{{.Tag}}')
    assert text == "built by   TAG\nme         1\n"
    assert label_header("com.example.built_by") == "built by"


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(TemplateError) as caught:
        IMAGES.render(ROWS, "{{.Foo}}")
    assert str(caught.value) == (
        'template parsing error: template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'
    )
    with pytest.raises(TemplateSyntaxError):
        IMAGES.render([], "{{")


def test_only_shown_fields_are_asked_for() -> None:
    class Lazy(Mapping[str, object]):
        def __init__(self) -> None:
            self.asked: list[str] = []

        def __getitem__(self, key: str) -> object:
            self.asked.append(key)
            return "x"

        def __iter__(self) -> object:  # type: ignore[override]
            return iter(["ID", "Size"])

        def __len__(self) -> int:
            return 2

    row = Lazy()
    assert IMAGES.render([row], "{{.ID}}") == "x\n"
    assert row.asked == ["ID"]


# Asked from docker 28.2.2, which counts what a terminal shows.
@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", 0),
        ("abc", 3),
        ("日本語", 6),
        ("é", 1),
        ("e\u0301", 1),
        ("한국", 4),
        ("\u1100\u1161", 2),
        ("…", 1),
        ("ｱ", 1),
        ("\uff21", 2),
        ("👨\u200d👩\u200d👧", 2),
        ("👍🏽", 2),
        ("\u200b", 0),
        ("ไทย", 3),
        ("हिन्दी", 3),
        ("─│┼", 3),
        ("\x00a", 1),
    ],
)
def test_width(text: str, places: int) -> None:
    assert width(text) == places


def test_columns_end_where_a_line_lacks_them() -> None:
    assert align("a\tb\tc\naaaaaaaaaaa\tb\n\nx\ty") == ("a             b         c\naaaaaaaaaaa   b\n\nx         y")
    assert align("aaaaaaaaaaa\tb\fx\ty") == "aaaaaaaaaaa   b\nx         y"
    assert align("") == ""


def test_alignment_is_that_of_the_golden() -> None:
    folder = os.path.join(os.path.dirname(__file__), "..", "data", "render")
    with open(os.path.join(folder, "tabs.txt"), encoding="utf-8") as source:
        text = source.read()
    with open(os.path.join(folder, "tabs.golden"), encoding="utf-8") as golden:
        assert align(text) == golden.read()
