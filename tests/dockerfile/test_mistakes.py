"""What is refused, and in which words."""

import pytest

from lamina.dockerfile import parser
from lamina.dockerfile.mistakes import Malformed
from lamina.errors import InvalidArgument

_AFTER_FROM = [
    ("FOO bar", "unknown instruction: FOO"),
    ("RNU make", "unknown instruction: RNU (did you mean RUN?)"),
    ("entrypiont x", "unknown instruction: entrypiont (did you mean ENTRYPOINT?)"),
    ("RUN", "RUN requires at least one argument"),
    ("RUN []", "RUN requires at least one argument"),
    ("RUN [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
    ('CMD ["a", null]', "when using JSON array syntax, arrays must be comprised of strings only"),
    ('COPY ["a", ["b"], "c"]', "when using JSON array syntax, arrays must be comprised of strings only"),
    (f"CMD {'[' * 9000}{']' * 9000}", "when using JSON array syntax, arrays must be comprised of strings only"),
    ('CMD ["\\u0000"]', "a string with a NUL character cannot be an argument"),
    ("RUN a\0b", "the text has a NUL byte: save the file as UTF-8"),
    ("COPY a", "COPY requires at least two arguments, but only one was provided. Destination could not be determined"),
    ("ADD", "ADD requires at least two arguments, but only one was provided. Destination could not be determined"),
    ('COPY ["a"]', "COPY requires at least two arguments, but only one was provided. Destination could not"),
    ("COPY a <<EOF\nEOF", "COPY cannot accept a heredoc as a destination"),
    ("COPY << EOF /x\nEOF", "COPY takes heredocs as single words: write <<NAME, without blanks"),
    ("COPY <<'a b' /x\na b", "COPY takes heredocs as single words: write <<NAME, without blanks"),
    ("COPY <<a/b /x\na/b", 'heredoc "a/b" would become a file, but cannot be the name of one'),
    ("ADD <<.. /x\n..", 'heredoc ".." would become a file, but cannot be the name of one'),
    ("RUN <<../x\n#!/bin/sh\n../x", 'heredoc "../x" would become a file, but cannot be the name of one'),
    ("RUN <<EOF\nEO", "unterminated heredoc: no line after this one is just EOF; if << is no heredoc here, quote it"),
    ("ENV", "ENV requires at least one argument"),
    ("ENV a", "ENV must have two arguments: ENV NAME=VALUE"),
    ("LABEL a", "LABEL must have two arguments: LABEL NAME=VALUE"),
    ("ENV a=b c", 'Syntax error - can\'t find = in "c". Must be of the form: name=value'),
    ("ENV =b", "ENV names can not be blank"),
    ("LABEL a=b =c", "LABEL names can not be blank"),
    ("ARG", "ARG requires at least one argument"),
    ("ARG =b", "ARG names can not be blank"),
    ("EXPOSE", "EXPOSE requires at least one argument"),
    ("VOLUME", "VOLUME requires at least one argument"),
    ("VOLUME []", "VOLUME requires at least one argument"),
    ('VOLUME ["/a", " "]', "VOLUME specified can not be an empty string"),
    ("USER", "USER requires exactly one argument"),
    ("WORKDIR", "WORKDIR requires exactly one argument"),
    ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
    ("MAINTAINER", "MAINTAINER requires exactly one argument"),
    ("SHELL", "SHELL requires at least one argument"),
    ("SHELL []", "SHELL requires at least one argument"),
    ("SHELL /bin/sh -c", 'SHELL requires the arguments to be in JSON form: SHELL ["/bin/sh", "-c"]'),
    ("FROM", "FROM requires either one or three arguments: FROM IMAGE, or FROM IMAGE AS NAME"),
    ("FROM a b", "FROM requires either one or three arguments: FROM IMAGE, or FROM IMAGE AS NAME"),
    ("FROM a IS b", "FROM requires either one or three arguments: FROM IMAGE, or FROM IMAGE AS NAME"),
    ("FROM a AS 1b", 'invalid name for build stage: "1b", name can\'t start with a number or contain symbols'),
    ("FROM a AS b/c", 'invalid name for build stage: "b/c", name can\'t start with a number or contain symbols'),
    ("FROM a AS bé", 'invalid name for build stage: "bé", name can\'t start with a number or contain symbols'),
    ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
    ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
    ("HEALTHCHECK --retries=1 NONE", "HEALTHCHECK NONE takes no arguments"),
    ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK CMD []", "Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK curl x", 'Unknown type "CURL" in HEALTHCHECK (try CMD)'),
    ("HEALTHCHECK --interval=50us CMD x", 'Interval "interval" cannot be less than 1ms'),
    ("HEALTHCHECK --timeout=-5s CMD x", 'Interval "timeout" cannot be less than 1ms'),
    (
        "HEALTHCHECK --timeout=5 CMD x",
        "HEALTHCHECK --timeout: '5' is no duration: give one such as 30s, 1m30s or 500ms",
    ),
    ("HEALTHCHECK --retries=-2 CMD x", "--retries cannot be negative (-2)"),
    ("HEALTHCHECK --retries=x CMD x", 'HEALTHCHECK --retries: "x" is no number'),
    ("HEALTHCHECK --retries=--2 CMD x", 'HEALTHCHECK --retries: "--2" is no number'),
    ("HEALTHCHECK --retries=2147483648 CMD x", "HEALTHCHECK --retries: 2147483648 is too large"),
    ("ONBUILD", "ONBUILD requires at least one argument"),
    ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
    ("ONBUILD FROM a", "FROM isn't allowed as an ONBUILD trigger"),
    ("ONBUILD maintainer a", "MAINTAINER isn't allowed as an ONBUILD trigger"),
    ("ONBUILD FOO", "unknown instruction: FOO"),
    ("ONBUILD COPY a", "COPY requires at least two arguments, but only one was provided. Destination could not"),
    ("ONBUILD COPY --link a b", "COPY --link is not supported yet: only BuildKit has it"),
    ("ONBUILD # x", "onbuild trigger should be a single expression"),
    ("ONBUILD --x RUN y", "unknown flag: --x: ONBUILD has none; write -- before a word that begins with --"),
    ("FROM b AS first", "first stage name already used"),
    ("\\", "unknown instruction: "),
]

_FLAGS = [
    ("COPY --form=x a b", "unknown flag: --form (did you mean --from?): COPY has --from, --chown, --chmod"),
    ("COPY --checksum=x a b", "unknown flag: --checksum: COPY has --from, --chown, --chmod"),
    ("ADD --from=x a b", "unknown flag: --from: ADD has --chown, --chmod, --checksum"),
    ("COPY --from a b", "COPY: missing a value on flag: --from (write --from=VALUE)"),
    ("COPY --chown=1 --chown=1 a b", "COPY: duplicate flag specified: --chown"),
    ("RUN --network=bridge x", 'invalid network mode "bridge": RUN has --network=default, none and host'),
    ("RUN --network= x", 'invalid network mode "": RUN has --network=default, none and host'),
    ("FROM --as=x a", "unknown flag: --as: FROM has --platform"),
    ("WORKDIR --x /a", "unknown flag: --x: WORKDIR has none; write -- before a word that begins with --"),
    ("STOPSIGNAL --x 9", "unknown flag: --x: STOPSIGNAL has none; write -- before a word that begins with --"),
    ("ARG --x a", "unknown flag: --x: ARG has none; write -- before a word that begins with --"),
    *(
        (f"{flag.partition(' ')[0]} {flag.partition(' ')[2]} x y", f"{flag} is not supported yet: only BuildKit has it")
        for flag in (
            "ADD --exclude",
            "ADD --keep-git-dir",
            "ADD --link",
            "ADD --unpack",
            "COPY --exclude",
            "COPY --link",
            "COPY --parents",
            "RUN --device",
            "RUN --mount",
            "RUN --security",
        )
    ),
]


@pytest.mark.parametrize(("text", "reason"), [*_AFTER_FROM, *_FLAGS], ids=lambda value: value[:30])
def test_an_instruction_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        parser.parse(f"FROM a AS first\n\n{text}\n".encode(), "the file")
    assert str(caught.value).startswith(f"the file:3: {reason}")
    assert isinstance(caught.value, InvalidArgument)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Dockerfile:1: the Dockerfile (Dockerfile) cannot be empty"),
        (b"\n# only\n \n", "Dockerfile:1: file with no instructions"),
        (b"\xef\xbb\xbf", "Dockerfile:1: file with no instructions"),
        (b"ARG a\n", "Dockerfile:1: No image was generated. Is your Dockerfile empty? It has no FROM"),
        (b"ARG a\nRUN x\nFROM a", "Dockerfile:2: no build stage in current context: RUN must come after a FROM"),
        (b"# escape=x\nFROM a", "Dockerfile:1: invalid escape token 'x' does not match ` or \\"),
        (b"# syntax=a\n#Syntax = b\nFROM a", "Dockerfile:2: only one syntax parser directive can be used"),
        (b"F\0R\0O\0M\0", "Dockerfile:1: the text has a NUL byte: save the file as UTF-8"),
    ],
)
def test_a_file_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        parser.parse(data)
    assert str(caught.value) == reason


def test_a_message_is_one_line_and_not_long() -> None:
    with pytest.raises(Malformed) as caught:
        parser.parse(b"FROM a\n" + b"\x1b[31m\r\t\xc3\xa9" * 5000)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("FROM a\n\n# c\nRUN a \\\n\n b\nFOO\n", 7),
        ("FROM a\nRUN <<E\nx\nE\nFOO\n", 5),
        ("\ufeffFROM a\nCMD a\\\nb\nX", 4),
    ],
)
def test_lines_are_counted_through_everything(text: str, line: int) -> None:
    with pytest.raises(Malformed) as caught:
        parser.parse(text.encode())
    assert caught.value.line == line
