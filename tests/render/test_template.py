"""Templates: what Go's text/template prints for the same text and value, and nothing but errors of ours else."""

import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidArgument
from lamina.render import template
from lamina.render.template import StringMap, TemplateError, TemplateSyntaxError, parse, unescape
from lamina.render.template.syntax import MAX_DEPTH


class Case(msgspec.Struct):
    """What Go 1.19 or the docker client 28 (Go 1.24) made of a template and the value of the file."""

    template: str
    output: str | None = None
    error: str | None = None


class Cases(msgspec.Struct):
    value: dict[str, object]
    cases: list[Case]


DATA = os.path.join(os.path.dirname(__file__), "..", "data", "render")


def read_cases() -> Cases:
    with open(os.path.join(DATA, "templates.json"), "rb") as file:
        return msgspec.json.decode(file.read(), type=Cases)


CASES = read_cases()


@pytest.mark.parametrize("case", CASES.cases, ids=lambda case: case.template)
def test_go_says(case: Case) -> None:
    if case.error is None:
        assert parse(case.template).render(CASES.value) == case.output
        return
    with pytest.raises(TemplateError) as caught:
        parse(case.template).render(CASES.value)
    assert caught.value.reason == case.error


PIECES = (
    *(
        "{{",
        "}}",
        "{{- ",
        " -}}",
        "{{if ",
        "{{range $i, $e := ",
        "{{with ",
        "{{else}}",
        "{{else if ",
        "{{end}}",
        "{{break}}",
    ),
    *(".S", ".L", ".a.b", ".Nul", ".", "$", "$x", "$x := ", "$x = ", "(", ")", " | ", " ", "\n", '"%5d"', "`r`", "'c'"),
    *(
        "printf ",
        "index ",
        "slice ",
        "len ",
        "eq ",
        "lt ",
        "and ",
        "or ",
        "json ",
        "pad ",
        "join ",
        "nil",
        "1",
        "-3",
        "1.5",
    ),
)


@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text_parses_or_is_refused(text: str) -> None:
    reason = "template: :"
    try:
        parse(text).render(CASES.value)
    except TemplateError as error:
        reason = error.reason
    assert reason.startswith("template: :")


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="{")))
def test_text_without_actions_stays_as_it_is(text: str) -> None:
    assert parse(text).render(None) == text


@given(st.text(st.characters(codec="utf-8")))
def test_quoted_strings_mean_themselves(text: str) -> None:
    quoted = parse('{{printf "%q" .}}').render(text)
    assert parse("{{" + quoted + "}}").render(None) == text


fractions = st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | fractions | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_json_reads_back(value: object) -> None:
    assert msgspec.json.decode(parse("{{json .}}").render(value)) == value
    assert msgspec.json.decode(parse("{{json .}}").render(value, row=True)) == value


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_json_has_no_infinity(value: float) -> None:
    with pytest.raises(TemplateError, match=r"unsupported value: (NaN|[+-]Inf)"):
        parse("{{json .}}").render(value)


def test_rows_escape_html_in_the_whole_row_only() -> None:
    row = {"Repository": "<none>"}
    form = parse("{{json .}} {{json .Repository}}")
    assert form.render(row, row=True) == '{"Repository":"\\u003cnone\\u003e"} "<none>"'
    assert form.render(row) == '{"Repository":"<none>"} "<none>"'


def test_free_keys_have_no_value_where_they_are_absent() -> None:
    labels = {"Labels": StringMap(a="1")}
    assert parse('{{.Labels.a}} {{.Labels.b}} {{index .Labels "b"}}|{{if .Labels.b}}yes{{end}}').render(labels) == (
        "1 <no value> |"
    )
    with pytest.raises(TemplateError, match='map has no entry for key "b"'):
        parse("{{.b}}").render(labels)


def test_methods_take_one_string() -> None:
    row = {"Label": {"x": "1"}.get}
    assert parse('{{.Label "x"}} {{"x" | .Label}} {{. | json}} {{.}} {{range .}}{{end}}').render(row) == "1 1 {} map[] "
    with pytest.raises(TemplateError, match="wrong number of args for Label: want 1 got 0"):
        parse("{{.Label}}").render(row)
    with pytest.raises(TemplateError, match="expected string; found 1"):
        parse("{{.Label 1}}").render(row)


def test_cutting_a_character_leaves_its_bytes() -> None:
    cut = parse("{{truncate . 2}}").render("hé")
    assert cut.encode("utf-8", "surrogateescape") == b"h\xc3"


@pytest.mark.parametrize("text", ["{{" + "(" * 5000, "{{if .}}" * 5000, "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}"])
def test_nesting_is_bounded(text: str) -> None:
    with pytest.raises(TemplateSyntaxError, match="nested deeper"):
        parse(text)


def test_the_deepest_nesting_runs() -> None:
    depth = MAX_DEPTH - 1
    assert parse("{{" + "(" * depth + "1" + ")" * depth + "}}").render(None) == "1"
    assert parse("{{if true}}" * depth + "x" + "{{end}}" * depth).render(None) == "x"


def test_values_without_end_are_refused() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(TemplateError, match="nested too deep"):
        parse("{{.}}").render(value)
    while value:
        value = value.pop()  # type: ignore[assignment]


@pytest.mark.parametrize("text", ['{{define "x"}}{{end}}', '{{template "x"}}', '{{block "x" .}}{{end}}'])
def test_other_templates_are_not_offered(text: str) -> None:
    with pytest.raises(TemplateSyntaxError, match="not offered"):
        parse(text)


def test_errors_are_the_callers_to_mend() -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse("{{")
    assert str(caught.value) == "template parsing error: template: :1: unclosed action"
    assert caught.value.exit_status == 64
    with pytest.raises(InvalidArgument) as caught:
        parse("{{.Foo}}").render({})
    assert caught.value.exit_status == 1


def test_a_template_renders_many_values() -> None:
    form = template.parse("{{$x := .}}{{range .}}{{$x}}{{end}}")
    assert [form.render([1]), form.render([2, 3])] == ["[1]", "[2 3][2 3]"]


def test_unescape() -> None:
    assert unescape(r"  {{.ID}}\t{{.Names}}\n ") == "{{.ID}}\t{{.Names}}\n"
