"""A parsed template and a value to text, as Go's `text/template` executes it, with `missingkey=error`."""

from collections.abc import Mapping, Sequence
from typing import Final

from .functions import Function, Functions
from .nodes import (
    Action,
    Branch,
    Chain,
    Command,
    Field,
    Jump,
    Literal,
    Name,
    Node,
    Operand,
    Pipe,
    Shown,
    Text,
    Variable,
    show,
)
from .values import NO_VALUE, CallError, StringMap, TemplateError, entries, to_bytes, truth, type_name
from .verbs import display

_NOTHING: Final = object()
"""No value comes down the pipeline."""


class _Break(Exception):
    """Leaves a range."""


class _Continue(Exception):
    """Goes on with the next round of a range."""


class Runner:
    """One execution; `parts` grows as text is made, and holds what was made before an error."""

    def __init__(self, text: str, value: object, functions: Functions) -> None:
        self.parts: list[str] = []
        self._text = text
        self._functions = functions
        self._variables: list[tuple[str, object]] = [("$", value)]
        self._at: Shown = Field(0, ())

    def walk(self, nodes: Sequence[Node], dot: object) -> None:
        """Execute nodes.

        Raises:
            TemplateError: the nodes do not fit the value.
        """
        for node in nodes:
            match node:
                case Text():
                    self.parts.append(node.text)
                case Action():
                    value = self._pipe(node.pipe, dot)
                    if not node.pipe.declared:
                        self.parts.append(NO_VALUE if value is None else display(value))
                case Branch():
                    self._branch(node, dot)
                case Jump():
                    raise _Break if node.kind == "break" else _Continue

    def _error(self, reason: str) -> TemplateError:
        before = self._text[: self._at.at]
        line = 1 + before.count("\n")
        column = len(to_bytes(before[before.rfind("\n") + 1 :]))
        return TemplateError(f'template: :{line}:{column}: executing "" at <{show(self._at)}>: {reason}')

    def _branch(self, node: Branch, dot: object) -> None:
        scope = len(self._variables)
        value = self._pipe(node.pipe, dot)
        if node.kind == "range":
            self._range(node, value, dot)
        elif truth(value):
            self.walk(node.body, value if node.kind == "with" else dot)
        else:
            self.walk(node.otherwise, dot)
        del self._variables[scope:]

    def _items(self, pipe: Pipe, value: object) -> tuple[Sequence[object], Sequence[object]]:
        """Return the keys and the elements that a range goes through."""
        if isinstance(value, Mapping):
            pairs = entries(value)
            return [key for key, _ in pairs], [element for _, element in pairs]
        if isinstance(value, list | tuple):
            return range(len(value)), value
        if isinstance(value, int) and not isinstance(value, bool):
            if len(pipe.declared) > 1:
                raise self._error(f"can't use {value} to iterate over more than one variable")
            return range(value), range(value)
        if value is not None:
            raise self._error(f"range can't iterate over {display(value)}")
        return (), ()

    def _range(self, node: Branch, value: object, dot: object) -> None:
        keys, elements = self._items(node.pipe, value)
        scope = len(self._variables)
        names = node.pipe.declared
        for key, element in zip(keys, elements, strict=True):
            for name, given in zip(names, (key, element)[-len(names) :], strict=False):
                self._set(name, given)
            try:
                self.walk(node.body, element)
            except _Break:
                break
            except _Continue:
                continue
            finally:
                del self._variables[scope:]
        if not keys:
            self.walk(node.otherwise, dot)

    def _set(self, name: str, value: object) -> None:
        for i in reversed(range(len(self._variables))):
            if self._variables[i][0] == name:
                self._variables[i] = (name, value)
                return
        raise self._error(f"undefined variable: {name}")

    def _variable(self, name: str) -> object:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise self._error(f"undefined variable: {name}")

    def _pipe(self, pipe: Pipe, dot: object) -> object:
        self._at = pipe
        value: object = _NOTHING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        for name in pipe.declared:
            if pipe.assigns:
                self._set(name, value)
            else:
                self._variables.append((name, value))
        return value

    def _command(self, command: Command, dot: object, last: object) -> object:
        first, *others = command.operands
        if isinstance(first, Name):
            self._at = first
            return self._call(first.name, self._functions[first.name], command, others, dot, last)
        if isinstance(first, Field | Variable | Chain) and first.names:
            return self._fields(first, command.operands, dot, last)
        if not isinstance(first, Pipe):
            self._at = first
        if others or last is not _NOTHING:
            raise self._error(f"can't give argument to non-function {show(first)}")
        if isinstance(first, Literal) and first.value is None:
            raise self._error("nil is not a command")
        return self._operand(first, dot)

    def _operand(self, node: Operand, dot: object) -> object:
        self._at = node
        match node:
            case Literal():
                if isinstance(node.value, int) and not -(1 << 63) <= node.value < 1 << 63:
                    raise self._error(f"{node.text} overflows int")
                return node.value
            case Pipe():
                return self._pipe(node, dot)
            case Name():
                return self._call(node.name, self._functions[node.name], node, [], dot, _NOTHING)
            case _:
                return self._fields(node, (), dot, _NOTHING)

    def _fields(self, node: Field | Variable | Chain, operands: Sequence[Operand], dot: object, last: object) -> object:
        """Return the value of `.a.b`; a method at its end gets the operands and the last value of the pipeline."""
        self._at = node
        value = dot
        if isinstance(node, Variable):
            value = self._variable(node.name)
        elif isinstance(node, Chain):
            if isinstance(node.value, Literal):
                raise self._error(f"indirection through explicit nil in {show(node)}")
            value = self._operand(node.value, dot)
        for i, name in enumerate(node.names):
            final = i == len(node.names) - 1
            given = operands[1:] if final else ()
            before = last if final else _NOTHING
            if not isinstance(value, Mapping):
                raise self._no_field(value, name, inner=i > 0)
            found = value.get(name, _NOTHING)
            if callable(found):
                value = self._call(name, Function(found, ("string",)), node, given, dot, before)
            elif given or before is not _NOTHING:
                raise self._error(f"{name} is not a method but has arguments")
            elif found is _NOTHING and not isinstance(value, StringMap):
                raise self._error(f'map has no entry for key "{name}"')
            else:
                value = None if found is _NOTHING else found
        return value

    def _no_field(self, value: object, name: str, inner: bool) -> TemplateError:
        if value is None and not inner:
            return self._error(f'nil data; no entry for key "{name}"')
        if value is None:
            return self._error(f"nil pointer evaluating interface {{}}.{name}")
        return self._error(f"can't evaluate field {name} in type {'interface {}' if inner else type_name(value)}")

    def _call(
        self,
        name: str,
        function: Function,
        node: Shown,
        operands: Sequence[Operand],
        dot: object,
        last: object,
    ) -> object:
        count = len(operands) + (last is not _NOTHING)
        wanted = len(function.takes)
        if count < wanted or (count > wanted and not function.rest):
            least = "at least " if function.rest else ""
            got = len(operands) if function.rest else count
            raise self._error(f"wrong number of args for {name}: want {least}{wanted} got {got}")
        if name in ("and", "or"):
            return self._choose(name, operands, dot, last)
        kinds = [*function.takes, *[function.rest or "any"] * (count - wanted)]
        arguments = [self._argument(kind, each, dot) for kind, each in zip(kinds, operands, strict=False)]
        if last is not _NOTHING:
            if last is None and kinds[-1] != "any":
                raise self._error(f"invalid value; expected {kinds[-1]}")
            arguments.append(self._typed(kinds[-1], last))
        try:
            return function.call(*arguments)
        except CallError as error:
            self._at = node
            raise self._error(f"error calling {name}: {error}") from error

    def _choose(self, name: str, operands: Sequence[Operand], dot: object, last: object) -> object:
        """Return the first operand that settles an `and` or an `or`, else the last one."""
        value: object = None
        for each in operands:
            value = self._operand(each, dot)
            if truth(value) == (name == "or"):
                return value
        return value if last is _NOTHING else last

    def _argument(self, kind: str, node: Operand, dot: object) -> object:
        value = self._operand(node, dot)
        if not isinstance(node, Literal) or kind == "any":
            return self._typed(kind, value)
        if value is None:
            raise self._error(f"cannot assign nil to {kind}")
        if kind == "int" and isinstance(value, float) and value.is_integer():
            return int(value)
        if type_name(value) != kind:
            raise self._error(f"expected {'integer' if kind == 'int' else kind}; found {node.text}")
        return value

    def _typed(self, kind: str, value: object) -> object:
        if kind == "any" or type_name(value) == kind:
            return value
        found = "interface {}" if value is None else type_name(value)
        raise self._error(f"wrong type for value; expected {kind}; got {found}")
