"""Templates of `--format`: the part of Go's `text/template` that the docker client is used with.

Offered: text, fields (`.A.B`, of mappings), `.`, `$`, variables, pipelines, parentheses, literals, comments, trim
markers, `if`, `else if`, `with`, `range`, `break`, `continue`, and the functions of `functions.builtin`.
Not offered: `define`, `block` and `template`, since a format is one template; complex numbers; `call`.

A value is made of mappings, lists, tuples, strings, numbers, booleans and None. A callable in a mapping is a method
of one string argument, as in `{{.Label "key"}}`; printing and JSON leave it out. A field that a mapping does not have
is an error, unless the mapping is a StringMap, in which it has no value. Docker knows the fields of its types where
we know only those that are there: whoever gives a value puts None where Docker's type has an empty field.
"""

import contextlib

from .functions import builtin, heading, row_json
from .nodes import Node
from .run import Runner
from .syntax import parse as _parse
from .values import StringMap, TemplateError, TemplateSyntaxError

__all__ = ["StringMap", "Template", "TemplateError", "TemplateSyntaxError", "parse", "unescape"]


class Template:
    """A parsed template; it can be rendered any number of times."""

    def __init__(self, text: str, nodes: tuple[Node, ...]) -> None:
        self._text = text
        self._nodes = nodes

    def render(self, value: object, *, row: bool = False) -> str:
        r"""Return the text for a value.

        Args:
            value: what `.` is.
            row: the value is a row of a list: `{{json .}}` writes `<`, `>` and `&` as `\u003c` and so on.

        Raises:
            TemplateError: the template does not fit the value.
        """
        runner = Runner(self._text, value, builtin() | (row_json(value) if row else {}))
        try:
            runner.walk(self._nodes, value)
        except RecursionError as error:
            raise TemplateError("template: : the value is nested too deep") from error
        return "".join(runner.parts)

    def render_header(self, headers: StringMap) -> str:
        """Return the line of headers over rows of this template: what does not fit a header ends the line there."""
        runner = Runner(self._text, headers, builtin() | heading())
        with contextlib.suppress(TemplateError):  # as in Docker
            runner.walk(self._nodes, headers)
        return "".join(runner.parts)


def parse(text: str) -> Template:
    """Return the template that a text spells.

    Raises:
        TemplateSyntaxError: it spells none; the message is Go's, with the line.
    """
    return Template(text, _parse(text, frozenset(builtin())))


def unescape(form: str) -> str:
    r"""Return a format with each `\t` and `\n` written out turned into a tab or a line feed, and outer spaces gone.

    Docker does so for lists, and not for `inspect`.
    """
    return form.strip(" ").replace("\\t", "\t").replace("\\n", "\n")
