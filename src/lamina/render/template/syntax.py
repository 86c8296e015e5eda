"""Tokens to the tree of a template, with the rules and the messages of Go's parser."""

from . import literals
from .lex import Token, tokens
from .nodes import Action, Branch, Chain, Command, Field, Jump, Literal, Name, Node, Operand, Pipe, Text, Variable, show
from .values import TemplateSyntaxError
from .verbs import quote

MAX_DEPTH = 100
"""How deep parentheses and blocks may be nested."""

_OPERANDS = frozenset(["bool", "rune", "dot", "field", "name", "number", "nil", "string", "variable", "("])


def parse(text: str, functions: frozenset[str]) -> tuple[Node, ...]:
    """Return the nodes of a template that may call these functions.

    Raises:
        TemplateSyntaxError: the text is no template; the message is Go's, with the line.
    """
    parser = _Parser(tokens(text), functions)
    nodes, end = parser.nodes()
    if end.kind != "eof":
        raise parser.error(f"unexpected {{{{{end.text}}}}}")
    return nodes


class _Parser:
    def __init__(self, found: list[Token], functions: frozenset[str]) -> None:
        self._tokens = found
        self._next = 0
        self._seen = 0  # the last token looked at: messages give its line
        self._functions = functions
        self._variables = ["$"]
        self._action_line = 0
        self._ranges = 0
        self._depth = 0

    def error(self, reason: str) -> TemplateSyntaxError:
        return TemplateSyntaxError(f"template: :{self._tokens[self._seen].line}: {reason}")

    def nodes(self) -> tuple[tuple[Node, ...], Token]:
        """Return the nodes up to an end, an else or the end of the text, and what it was; `else` is consumed."""
        found: list[Node] = []
        while (token := self._take()).kind != "eof":
            if token.kind == "text":
                found.append(Text(token.at, token.text))
                continue
            if token.kind != "{{":
                raise self._unexpected(token, "input")
            self._action_line = token.line
            node = self._action()
            if isinstance(node, Token):
                return tuple(found), node
            found.append(node)
            self._action_line = 0
        return tuple(found), token

    def _peek(self) -> Token:
        self._seen = max(self._seen, self._next)
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._peek()
        if token.kind not in ("eof", "error"):
            self._next += 1
        return token

    def _expect(self, kind: str, context: str) -> Token:
        token = self._take()
        if token.kind != kind:
            raise self._unexpected(token, context)
        return token

    def _unexpected(self, token: Token, context: str) -> TemplateSyntaxError:
        if token.kind != "error":
            return self.error(f"unexpected {token} in {context}")
        started = ""
        if self._action_line not in (0, token.line):
            started = f" started at :{self._action_line}"
            if not token.text.endswith(" action"):
                started = f" in action{started}"
        return self.error(token.text + started)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH} levels")

    def _action(self) -> Node | Token:
        token = self._peek()
        if token.kind != "keyword":
            return Action(token.at, self._pipe("command", "}}"))
        self._take()
        match token.text:
            case "if" | "with" | "range":
                return self._branch(token.text)
            case "break" | "continue":
                return self._jump(token)
            case "end":
                self._expect("}}", "end")
                return token
            case "else":
                if self._peek().text not in ("if", "with"):
                    self._expect("}}", "else")
                return token
            case _:
                raise self.error(f"{{{{{token.text}}}}} is not offered: a format is one template")

    def _jump(self, token: Token) -> Jump:
        self._expect("}}", f"{{{{{token.text}}}}}")
        if not self._ranges:
            raise self.error(f"{{{{{token.text}}}}} outside {{{{range}}}}")
        return Jump(token.at, token.text)

    def _branch(self, kind: str) -> Branch:
        self._enter()
        scope = len(self._variables)
        pipe = self._pipe(kind, "}}")
        self._ranges += kind == "range"
        body, end = self._block()
        self._ranges -= kind == "range"
        otherwise: tuple[Node, ...] = ()
        if end.text == "else" and kind != "range" and self._peek().text == kind:
            self._take()  # {{else if}} is an if inside the else, and shares its end
            otherwise = (self._branch(kind),)
        elif end.text == "else":
            otherwise, end = self._block()
            if end.text != "end":
                raise self.error(f"expected end; found {{{{{end.text}}}}}")
        del self._variables[scope:]
        self._depth -= 1
        return Branch(pipe.at, kind, pipe, body, otherwise)

    def _block(self) -> tuple[tuple[Node, ...], Token]:
        found, end = self.nodes()
        if end.kind == "eof":
            raise self.error("unexpected EOF")
        return found, end

    def _pipe(self, context: str, end: str) -> Pipe:
        at = self._peek().at
        declared, assigns = self._declarations(context)
        commands: list[Command] = []
        while (token := self._peek()).kind != end:
            if token.kind not in _OPERANDS:
                self._take()
                raise self._unexpected(token, context)
            commands.append(self._command())
        self._take()
        if not commands:
            raise self.error(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            first = command.operands[0]
            if isinstance(first, Literal) or (isinstance(first, Field) and not first.names):
                raise self.error(f"non executable command in pipeline stage {stage}")
        return Pipe(at, tuple(commands), declared, assigns)

    def _declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        names: list[str] = []
        while (token := self._peek()).kind == "variable":
            after = self._tokens[self._next + 1]
            if after.kind not in (":=", "=") and after.text != ",":
                break
            self._next += 2
            names.append(token.text)
            self._variables.append(token.text)
            if after.kind in (":=", "="):
                return tuple(names), after.kind == "="
            if context != "range" or len(names) > 1:
                raise self.error(f"too many declarations in {context}")
            if self._peek().kind not in ("variable", "}}", ")"):
                raise self.error("range can only initialize variables")
        return tuple(names), False

    def _command(self) -> Command:
        at = self._peek().at
        operands: list[Operand] = []
        while True:
            operand = self._operand()
            if operand is not None:
                operands.append(operand)
            token = self._peek()
            if token.kind in ("}}", ")"):
                break
            if operand is None or not token.spaced or token.kind == "|":
                self._take()
                if token.kind == "|":
                    break
                raise self._unexpected(token, "operand")
        if not operands:
            raise self.error("empty command")
        return Command(at, tuple(operands))

    def _operand(self) -> Operand | None:
        if self._peek().kind not in _OPERANDS:
            return None
        term = self._term(self._take())
        token = self._peek()
        names: list[str] = []
        while self._peek().kind == "field" and not self._peek().spaced:
            names.append(self._take().text[1:])
        if not names:
            return term
        match term:
            case Field(names=before) if before:
                return Field(token.at, (*before, *names))
            case Variable():
                return Variable(token.at, term.name, tuple(names))
            case Literal() | Field():
                raise self.error("unexpected . after term " + quote(show(term)))
            case _:
                return Chain(token.at, term, tuple(names))

    def _term(self, token: Token) -> Operand:
        match token.kind:
            case "name":
                if token.text not in self._functions:
                    raise self.error(f'function "{token.text}" not defined')
                return Name(token.at, token.text)
            case "dot":
                return Field(token.at, ())
            case "field":
                return Field(token.at, (token.text[1:],))
            case "variable":
                if token.text not in self._variables:
                    raise self.error(f'undefined variable "{token.text}"')
                return Variable(token.at, token.text, ())
            case "(":
                self._enter()
                pipe = self._pipe("parenthesized pipeline", ")")
                self._depth -= 1
                return pipe
            case _:
                return self._literal(token)

    def _literal(self, token: Token) -> Literal:
        if token.kind in ("bool", "nil"):
            return Literal(token.at, token.text, {"true": True, "false": False, "nil": None}[token.text])
        reader = {"number": literals.number, "string": literals.string, "rune": literals.rune}[token.kind]
        try:
            return Literal(token.at, token.text, reader(token.text))
        except ValueError as error:
            raise self.error(str(error)) from error
