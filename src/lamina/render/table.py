r"""Lists in the formats of docker's `--format`.

    table                         the columns of the list, under their headers
    table {{.ID}}\t{{.Names}}     columns of one's own; `\t` may be written out
    json                          one JSON object a line, keys in order
    {{.ID}}: {{.Names}}           any template, one line a row; `{{.ID}}` alone is the list's quiet mode

A row is a mapping; a callable in it is a method, as in `{{.Label "key"}}`.
"""

from collections.abc import Iterable, Mapping

import msgspec

from .tabs import align
from .template import StringMap, parse, unescape

QUIET = "{{.ID}}"
"""The format of `--quiet`."""


class Table(msgspec.Struct, frozen=True):
    r"""A kind of list.

    Attributes:
        headers: the header of each field, by field.
        default: the template of a row in the table without further words, such as `{{.ID}}\t{{.Names}}`.
    """

    headers: Mapping[str, str]
    default: str

    def render(self, rows: Iterable[Mapping[str, object]], form: str = "table") -> str:
        """Return the list, each line with its line feed; no rows make a table of headers alone, or no text.

        Rows are read one at a time, and only the fields that the format shows are asked for.

        Raises:
            TemplateError: the format is no template, or shows a field that a row does not have.
        """
        is_table = form.startswith("table") or not form
        if is_table:
            form = form.removeprefix("table").strip(" ") or self.default
        template = parse(unescape("{{json .}}" if form == "json" and not is_table else form))
        lines = [template.render(row, row=True) + "\n" for row in rows]
        if not is_table:
            return "".join(lines)
        headers = StringMap({**self.headers, "Label": label_header})
        return align(template.render_header(headers) + "\n" + "".join(lines))


def label_header(key: str) -> str:
    """Return the header over `{{.Label "key"}}`: the last part of the key, with spaces for `-` and `_`."""
    return key.rpartition(".")[2].replace("-", " ").replace("_", " ")
