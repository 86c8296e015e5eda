"""The tree of a parsed template.

    nodes     Text | Action | Branch (if, with, range) | Jump (break, continue)
    Action    Pipe
    Pipe      [$declared, ... :=] Command | Command | ...
    Command   operand operand ...      the first one is called with the others, if it can be
    operands  Field | Variable | Chain | Name | Literal | Pipe (in parentheses)

Each node knows its place in the text, and `show` writes it as messages quote it.
"""

from typing import TypeAlias

import msgspec


class Text(msgspec.Struct, frozen=True):
    """Text that stands for itself."""

    at: int
    text: str


class Field(msgspec.Struct, frozen=True):
    """`.a.b`: fields of dot; dot itself has no names."""

    at: int
    names: tuple[str, ...]


class Variable(msgspec.Struct, frozen=True):
    """`$x.a.b`: a variable and its fields."""

    at: int
    name: str
    names: tuple[str, ...]


class Chain(msgspec.Struct, frozen=True):
    """`(pipe).a.b` or `function.a.b`: fields of a computed value."""

    at: int
    value: "Operand"
    names: tuple[str, ...]


class Name(msgspec.Struct, frozen=True):
    """The name of a function."""

    at: int
    name: str


class Literal(msgspec.Struct, frozen=True):
    """A string, a number, true, false or nil; `text` is how it was written."""

    at: int
    text: str
    value: str | int | float | bool | None


class Command(msgspec.Struct, frozen=True):
    """Operands side by side."""

    at: int
    operands: "tuple[Operand, ...]"


class Pipe(msgspec.Struct, frozen=True):
    """Commands, each given the value of the one before it as its last argument."""

    at: int
    commands: tuple[Command, ...]
    declared: tuple[str, ...] = ()
    assigns: bool = False


class Action(msgspec.Struct, frozen=True):
    """`{{pipe}}`: prints its value, unless it declares a variable."""

    at: int
    pipe: Pipe


class Branch(msgspec.Struct, frozen=True):
    """`{{if pipe}} body {{else}} otherwise {{end}}`, and the same with `with` and `range`."""

    at: int
    kind: str
    pipe: Pipe
    body: "tuple[Node, ...]"
    otherwise: "tuple[Node, ...]"


class Jump(msgspec.Struct, frozen=True):
    """`{{break}}` or `{{continue}}`."""

    at: int
    kind: str


Operand: TypeAlias = Field | Variable | Chain | Name | Literal | Pipe
Node: TypeAlias = Text | Action | Branch | Jump
Shown: TypeAlias = Action | Command | Operand


def show(node: Shown) -> str:
    """Return the text of a node as a message quotes it."""
    match node:
        case Action():
            return "{{" + show(node.pipe) + "}}"
        case Pipe():
            names = ", ".join(node.declared) + (" = " if node.assigns else " := ") if node.declared else ""
            return names + " | ".join(map(show, node.commands))
        case Command():
            return " ".join(f"({show(each)})" if isinstance(each, Pipe) else show(each) for each in node.operands)
        case Field():
            return "." + ".".join(node.names)
        case Variable():
            return ".".join((node.name, *node.names))
        case Chain():
            value = f"({show(node.value)})" if isinstance(node.value, Pipe) else show(node.value)
            return ".".join((value, *node.names))
        case Name():
            return node.name
        case Literal():
            return node.text
