"""What holds for any input: only our own errors, round trips, and agreement with slow and simple definitions."""

import json
import posixpath
import re

from hypothesis import assume, example, given
from hypothesis import strategies as st

from lamina.dockerfile import expand, glob, mistakes, parser, pattern, words
from lamina.dockerfile.expand import BadSubstitution
from lamina.dockerfile.ignore import Ignore
from lamina.dockerfile.instructions import Arg, Copy, Dockerfile, Env, Instruction, Onbuild, Run
from lamina.dockerfile.mistakes import Malformed

_KEYWORDS = "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL USER VOLUME"
_BITS = st.sampled_from(
    [
        *_KEYWORDS.split(),
        *" \t\n\r\\`\"'#=$-[]{},:/<",
        "FROM a\n",
        "--from=x",
        "<<E",
        "<<-'E'",
        "\nE\n",
        "\\\n",
        "# escape=`\n",
    ]
)
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def _only(text: str) -> Instruction:
    (stage,) = parser.parse(f"FROM a\n{text}\n".encode()).stages
    (one,) = stage.instructions
    return one


def _parsed(data: bytes) -> Dockerfile | Malformed:
    try:
        return parser.parse(data)
    except Malformed as error:
        return error


@given(st.binary() | st.lists(_BITS, max_size=30).map(lambda bits: "".join(bits).encode()))
@example(b"FROM a\nONBUILD RUN <<E\n\xff\nE\n")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    found = _parsed(data)
    if isinstance(found, Malformed):
        assert str(found).startswith("Dockerfile:")
        assert str(found).isprintable()
        return
    assert found.stages
    for stage in found.stages:
        for one in stage.instructions:
            assert one.line > stage.line
            if isinstance(one, Onbuild):
                parser.trigger(one.trigger)


def _expanded(text: str, escape: str) -> str:
    try:
        return expand.word(text, {"a": "x y", "E": ""}, escape)
    except BadSubstitution as error:
        assert str(error).isprintable()  # noqa: PT017 - there is not always one
        return ""


@given(st.lists(_BITS | _TEXT, max_size=20).map("".join), st.sampled_from("\\`"))
def test_any_word_is_expanded_or_refused(text: str, escape: str) -> None:
    found = _expanded(text, escape)
    assert len(found) <= 3 * len(text)


@given(st.lists(_TEXT, min_size=1))
def test_json_arguments_come_back(args: list[str]) -> None:
    one = _only(f"RUN {json.dumps(args)}")
    assert isinstance(one, Run)
    assert list(one.command.args) == args
    assert not one.command.is_shell


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["$\\])', r"\\\1", text) + '"'


@given(_TEXT)
def test_a_quoted_text_comes_back(text: str) -> None:
    assert expand.word(_quoted(text), {}) == text
    assert expand.words(f"a {_quoted(text)} b", {}) == [each for each in ("a", text, "b") if each]


_LINE = st.text(st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]))
_NAME = st.text(st.sampled_from("abcXYZ_09"), min_size=1)


@given(st.lists(st.tuples(_NAME, _LINE), min_size=1))
def test_variables_come_back(pairs: list[tuple[str, str]]) -> None:
    text = " ".join(f"{name}={_quoted(value)}" for name, value in pairs)
    for keyword, kind in (("ENV", Env), ("ARG", Arg)):
        one = expand.expanded(_only(f"{keyword} {text} #"[: -2 if kind is Env else None]), {})
        assert isinstance(one, kind)
        assert list(one.variables)[: len(pairs)] == pairs


@given(_LINE.map(lambda text: text.strip(words.SPACE)), st.data())
def test_a_line_may_be_continued_anywhere(text: str, data: st.DataObject) -> None:
    line = f"WORKDIR x{text}"
    at = data.draw(st.integers(7, len(line)))
    head, tail = line[:at], line[at:]
    assume(not head.endswith("\\"))
    assume(tail.strip(words.SPACE) and not tail.lstrip(words.SPACE).startswith("#"))
    assume(not tail.endswith(("\\", "\r")))
    assert _only(line) == _only(f"{head}\\ \t\n# between\n{tail}")


@given(st.lists(_LINE.filter(lambda line: line.rstrip("\r") != "END")), st.booleans())
def test_the_text_of_a_heredoc_comes_back(lines: list[str], strip: bool) -> None:
    text = "".join(f"{line}\n" for line in lines)
    assume(not strip or "END" not in text)
    one = _only(f"COPY <<{'-' * strip}'END' /x\n{text}END")
    assert isinstance(one, Copy)
    expected = "".join(f"{line.lstrip(chr(9))}\n" for line in lines) if strip else text
    assert one.files[0].text == expected


_VALUE = st.text(st.sampled_from("ab*."), max_size=8)
_PATTERN = st.lists(st.sampled_from(["a", "b", "*", "?", "\\*", "."]), max_size=6).map("".join)


def _matches(shape: str, text: str) -> bool:
    """Tell whether a shell pattern is a text, by trying everything."""
    if not shape:
        return not text
    if shape[0] == "*":
        return any(_matches(shape[1:], text[i:]) for i in range(len(text) + 1))
    if shape[0] == "\\":
        return text[:1] == shape[1] and _matches(shape[2:], text[1:])
    return bool(text) and shape[0] in ("?", text[0]) and _matches(shape[1:], text[1:])


@given(_VALUE, _PATTERN, st.booleans())
def test_beginnings_and_ends_are_the_shortest_or_the_longest(value: str, shape: str, longest: bool) -> None:
    lengths = range(len(value) + 1)
    pick = max if longest else min
    heads = [n for n in lengths if _matches(shape, value[:n])]
    assert pattern.without_prefix(value, shape, longest=longest) == value[pick(heads, default=0) :]
    tails = [n for n in lengths if _matches(shape, value[len(value) - n :])]
    assert pattern.without_suffix(value, shape, longest=longest) == value[: len(value) - pick(tails, default=0)]


@given(_VALUE, _PATTERN)
def test_matches_are_the_leftmost_and_longest(value: str, shape: str) -> None:
    expected: list[tuple[int, int]] = []
    at = 0
    while at <= len(value):
        ends = [end for end in range(at, len(value) + 1) if _matches(shape, value[at:end])]
        if ends and not (max(ends) == at and expected and expected[-1][1] == at):
            expected.append((at, max(ends)))
        at = max(ends) if ends and max(ends) > at else at + 1
    assert list(pattern.matches(value, shape)) == expected


_NAMES = st.sampled_from(["a", "b", "ab", "a.b", ".a", "!", "*", "ba", "é"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_GLOB_BITS = ["a", "b", ".", "*", "?", "/", "**", "**/", "[ab]", "[^a]", "\\*", "\\a", "é"]
_GLOBS = st.lists(st.sampled_from(_GLOB_BITS), min_size=1, max_size=6).map("".join)
_RULES = st.lists(st.tuples(st.booleans(), _GLOBS | _PATHS), max_size=5)


def _expression(clean: str) -> str:
    """Return the expression of one rule of an ignore file, star by star."""
    suffix = re.fullmatch(r"\*\*([^/*?\[\]\\][^*?\[\]\\]*)", clean)
    if suffix:
        return ".*" + re.escape(suffix[1])
    parts = re.findall(r"\*\*/?|\*|\?|\[\^?[^\]]*\]|\\.|.", clean)
    known = {"*": "[^/]*", "?": "[^/]", "**": "(.*/)?", "**/": "(.*/)?"}
    found = [known.get(part) or (part if part[0] == "[" else re.escape(part[-1])) for part in parts]
    if parts[-1].startswith("**"):
        found[-1] = ".*"
    return "".join(found)


def _is_excluded(rules: list[tuple[bool, str]], path: str) -> bool:
    names = path.split("/")
    above = ["/".join(names[: n + 1]) for n in range(len(names))]
    excluded = False
    for keeps, rule in rules:
        expression = re.compile(_expression(posixpath.normpath(rule).lstrip("/") or "/"), re.DOTALL)
        if any(expression.fullmatch(each) for each in above):
            excluded = not keeps
    return excluded


def _ignore(rules: list[tuple[bool, str]]) -> Ignore:
    return Ignore.parse("".join(f"{'!' * keeps}{rule}\n" for keeps, rule in rules).encode())


@given(_RULES, st.lists(_PATHS, min_size=1))
@example([(False, "*"), (True, "a/**/b")], ["a", "a/b", "a/a/b", "b"])
def test_ignoring_agrees_with_its_definition(rules: list[tuple[bool, str]], paths: list[str]) -> None:
    assume(not any(rule.startswith("!") for _, rule in rules))
    ignore = _ignore(rules)
    assert [ignore.excludes(path) for path in paths] == [_is_excluded(rules, path) for path in paths]


@given(_RULES, _PATHS, st.lists(_PATHS, min_size=1))
@example([(False, "a[^b]")], "a", ["b"])
def test_nothing_below_what_is_pruned_goes_along(rules: list[tuple[bool, str]], folder: str, below: list[str]) -> None:
    assume(not any(rule.startswith("!") for _, rule in rules))
    ignore = _ignore(rules)
    if ignore.prunes(folder):
        assert all(ignore.excludes(f"{folder}/{path}") for path in below)
    elif ignore.excludes(folder):
        assert any(rule.keeps for rule in ignore.rules)


def _globs(shape: list[glob.Token], path: str) -> bool:
    """Tell whether a file name pattern is a path, as Go's filepath.Match does it: each star takes the least it can."""
    stars = [i for i, token in enumerate(shape) if token is glob.Wild.MANY]
    first = shape[: stars[0]] if stars else shape
    if not _begins(first, path) or (not stars and len(first) != len(path)):
        return False
    path = path[len(first) :]
    for star, end in zip(stars, [*stars, len(shape)][1:], strict=True):
        part = shape[star + 1 : end]
        is_last = end == len(shape)
        for skip in range(len(path) + 1):
            fits = _begins(part, path[skip:]) and (not is_last or len(path) - skip == len(part))
            if fits:
                path = path[skip + len(part) :]
                break
            if path[skip : skip + 1] in ("/", ""):
                return False
    return True


def _begins(part: list[glob.Token], text: str) -> bool:
    return len(part) <= len(text) and all(glob.accepts(token, text[i]) for i, token in enumerate(part))


@given(_GLOBS, _PATHS)
def test_file_names_match_as_defined(shape: str, path: str) -> None:
    assert glob.match(shape, path) == _globs(list(glob.tokens(shape)), path)


@given(_TEXT)
def test_what_is_shown_is_one_short_printable_line(text: str) -> None:
    assert "\n" not in mistakes.quoted(text)
    assert len(mistakes.shown(text)) <= 6 * 103
    if text.isascii() and text.isprintable() and len(text) <= 100:
        assert json.loads(mistakes.quoted(text)) == text


@given(st.sampled_from(_KEYWORDS.split()), st.data())
def test_a_slip_of_the_pen_is_recognised(keyword: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(keyword) - 2))
    swapped = keyword[:at] + keyword[at + 1] + keyword[at] + keyword[at + 2 :]
    meant = mistakes.did_you_mean(swapped, _KEYWORDS.split())
    assert meant.startswith(" (did you mean ")
    assert mistakes.did_you_mean("kubernetes", _KEYWORDS.split()) == ""
