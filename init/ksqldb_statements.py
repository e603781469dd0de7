"""ksqlDB statements as text: split, named, and compared by what they mean.

A server gives a statement back in its own words: names in upper case and with their source before them, all types and
properties filled in, parentheses around every condition. Two texts are the same statement when their trees are.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\r\n]*|/\*.*?\*/)
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>`(?:[^`]|``)*`|"(?:[^"]|"")*")
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![A-Za-z_@]))
    |(?P<word>[A-Za-z0-9_@]+)
    |(?P<sign>->|=>|<>|!=|<=|>=|\|\||.)""",
    re.VERBOSE | re.DOTALL,
)
_SYNONYMS = {"VARCHAR": "STRING", "INT": "INTEGER", "!=": "<>"}
# How tightly the operators bind; conditions (=, LIKE, IS, ...) do not chain, so one level is enough for them.
_LEVELS = {"=>": 1, "OR": 2, "AND": 3, "||": 6, "+": 7, "-": 7, "*": 8, "/": 8, "%": 8}
_LEVELS |= dict.fromkeys(("=", "<>", "<", "<=", ">", ">=", "LIKE", "IN", "BETWEEN", "IS", "NOT"), 5)
_NOT, _SIGN = 4, 9
# Words that end an expression or a source, and so are no alias.
_CLAUSE_WORDS = """
FROM WHERE PARTITION GROUP HAVING WINDOW EMIT LIMIT ON JOIN INNER LEFT RIGHT FULL OUTER WITHIN GRACE WHEN THEN ELSE END AS
"""
_CLAUSES = frozenset(_CLAUSE_WORDS.split())
# Properties that a server adds where the file has none.
_FILLED_IN = frozenset({"CLEANUP_POLICY", "PARTITIONS", "REPLICAS", "RETENTION_MS", "KEY_FORMAT", "VALUE_FORMAT"})


class Token(NamedTuple):
    """`text` is in upper case where ksqlDB does not tell cases apart."""

    kind: str
    text: str


class NotUnderstood(Exception):
    """The text is no statement of the kinds that are compared here."""


@dataclass
class Statement:
    """A CREATE statement: `name` is the stream's."""

    head: list[str]
    name: str
    columns: list[str] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    query: Any = None


def split(text: str) -> list[str]:
    """The statements of a text, without the comments before them and with their semicolons."""
    statements, begin, at = [], None, 0
    for match in _TOKEN.finditer(text):
        at = match.end()
        if match.lastgroup == "blank":
            continue
        begin = match.start() if begin is None else begin
        if match.group() == ";":
            statements.append(text[begin:at])
            begin = None
    return statements if begin is None else [*statements, text[begin:at]]


def created(text: str) -> Statement | None:
    """The stream or table that a statement creates, or None when it creates none. Raises NotUnderstood."""
    reader = _Reader(list(_tokens(text)))
    return reader.statement() if reader.peek() == "CREATE" else None


def same(wanted: Statement, running: Statement) -> bool:
    """Whether a server that runs the one does what the other says."""
    left = {"KAFKA_TOPIC": f"'{wanted.name}'", **wanted.properties}
    right = {"KAFKA_TOPIC": f"'{running.name}'", **running.properties}
    return (
        (wanted.head, wanted.name, wanted.columns) == (running.head, running.name, running.columns)
        and all(right.get(name) == value for name, value in left.items())
        and right.keys() - left.keys() <= _FILLED_IN
        and _alike(wanted.query, running.query)
    )


def _alike(wanted: Any, running: Any) -> bool:
    """Equal, but for what a server adds: the source before a column's name, the name of an unnamed item."""
    match wanted, running:
        case ("column", source, name), ("column", of, other):
            return name == other and source in (None, of)
        case ("item", expression, alias), ("item", other, name):
            return _alike(expression, other) and (name == alias if alias else _by_itself(name, expression))
        case ((list() | tuple()), (list() | tuple())):
            return len(wanted) == len(running) and all(map(_alike, wanted, running))
    return wanted == running


def _by_itself(name: str | None, expression: Any) -> bool:
    """Whether a server names an item so when the statement does not: by its column or field, else by a number."""
    base = expression[-1] if expression[0] in ("column", "->") else "KSQL_COL"
    return name is None or re.fullmatch(rf"{re.escape(base)}(_\d+)?", name) is not None


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup or "", match.group()
        if kind == "blank":
            continue
        if kind == "quoted":
            yield Token("name", found[1:-1].replace(found[0] * 2, found[0]))
        elif kind == "number" and "e" in found.lower():
            yield Token(kind, repr(float(found)))
        else:
            found = found if kind == "string" else found.upper()
            yield Token(kind, _SYNONYMS.get(found, found))


class _Reader:
    """Reads a statement's tokens from left to right."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = [token for token in tokens if token.text != ";" or token.kind != "sign"]
        self._at = 0

    def peek(self, ahead: int = 0) -> str | None:
        """The next word or sign; None at the end, and for what is quoted."""
        at = self._at + ahead
        if at < len(self._tokens) and self._tokens[at].kind in ("word", "sign"):
            return self._tokens[at].text
        return None

    @property
    def _more(self) -> bool:
        return self._at < len(self._tokens)

    def _next(self) -> Token:
        if not self._more:
            raise NotUnderstood("the statement ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, *texts: str) -> bool:
        """Step over these words if they come next."""
        if all(self.peek(ahead) == text for ahead, text in enumerate(texts)):
            self._at += len(texts)
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise NotUnderstood(f"{text} is missing")

    def statement(self) -> Statement:
        self._expect("CREATE")
        head = []
        while not head or head[-1] not in ("STREAM", "TABLE"):
            if not self._take("OR", "REPLACE"):
                head.append(self._next().text)
        self._take("IF", "NOT", "EXISTS")
        made = Statement(head, self._next().text)
        if self._take("("):
            made.columns = self._until_closed()
        if self._take("WITH"):
            made.properties = self._properties()
        if self._take("AS"):
            made.query = self._query()
        if self._more:
            raise NotUnderstood(f"{self._next().text} cannot stand there")
        return made

    def _until_closed(self) -> list[str]:
        found, depth = [], 1
        while True:
            token = self._next()
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "sign" else 0
            if depth == 0:
                return found
            found.append(token.text)

    def _properties(self) -> dict[str, str]:
        self._expect("(")
        found = {}
        while not self._take(")"):
            name = self._next().text.strip("'").upper()
            self._expect("=")
            found[name] = ("-" if self._take("-") else "") + self._next().text
            self._take(",")
        return found

    def _query(self) -> Any:
        self._expect("SELECT")
        items = [self._item()]
        while self._take(","):
            items.append(self._item())
        self._expect("FROM")
        clauses: list[Any] = [self._source()]
        while self._more:
            clauses += self._clause()
        return items, clauses

    def _item(self) -> Any:
        if self._take("*"):
            return "*"
        expression = self._expression()
        if self._take("AS") or (self._more and self.peek() not in _CLAUSES and self.peek() != ","):
            return "item", expression, self._next().text
        return "item", expression, None

    def _source(self) -> Any:
        name = self._next().text
        self._take("AS")
        named = self._more and self.peek() not in _CLAUSES
        return "source", name, self._next().text if named else name

    def _clause(self) -> list[Any]:
        if self._take("EMIT", "CHANGES") or self._take("INNER") or self._take("OUTER"):
            return []  # a server adds them
        word = self._next().text
        if word in ("WHERE", "HAVING", "ON"):
            return [word, self._expression()]
        if word == "JOIN":
            return [word, self._source()]
        if word in ("PARTITION", "GROUP") and self._take("BY"):
            keys = [self._expression()]
            while self._take(","):
                keys.append(self._expression())
            return [word, keys]
        return [word]

    def _expression(self, level: int = 0) -> Any:
        left = self._prefix()
        while True:
            operator = self.peek()
            binds = _LEVELS.get(operator or "", -1)
            if operator is None or binds <= level:
                return left
            self._next()
            left = self._operation(operator, binds, left)

    def _operation(self, operator: str, level: int, left: Any) -> Any:
        if operator == "NOT":  # x NOT IN (...) is NOT x IN (...)
            operator = self._next().text
            return "NOT", self._operation(operator, level, left)
        if operator == "IS":
            negated = self._take("NOT")
            return "IS NOT" if negated else "IS", left, self._next().text
        if operator == "IN":
            self._expect("(")
            return "IN", left, self._arguments()
        if operator == "BETWEEN":
            low = self._expression(level)
            self._expect("AND")
            return "BETWEEN", left, low, self._expression(level)
        return operator, left, self._expression(level)

    def _prefix(self) -> Any:  # noqa: PLR0911 - one a kind
        if self._take("NOT"):
            return "NOT", self._expression(_NOT - 1)
        if self._take("-"):
            return "-", self._expression(_SIGN)
        if self._take("("):
            inside = self._arguments()
            return self._fields(inside[0] if len(inside) == 1 else ("list", inside))
        if self._take("CASE"):
            return self._case()
        token = self._next()
        if token.kind in ("string", "number"):
            return token.kind, token.text
        if token == ("sign", "*"):  # COUNT(*)
            return token.text
        if token.kind == "sign":
            raise NotUnderstood(f"{token.text} cannot stand there")
        if self._take("("):
            return self._fields(("call", token.text, self._arguments()))
        if self._take("."):
            return self._fields(("column", token.text, self._next().text))
        return self._fields(("column", None, token.text))

    def _fields(self, base: Any) -> Any:
        while True:
            if self._take("->"):
                base = ("->", base, self._next().text)
            elif self._take("["):
                base = ("[]", base, self._expression())
                self._expect("]")
            else:
                return base

    def _arguments(self) -> list[Any]:
        found: list[Any] = []
        while not self._take(")"):
            expression = self._expression()
            if self._take("AS"):  # CAST(x AS DECIMAL(4, 2))
                return [*found, expression, self._until_closed()]
            found.append(expression)
            self._take(",")
        return found

    def _case(self) -> Any:
        found: list[Any] = ["CASE"]
        while not self._take("END"):
            word = self.peek()
            found.append(self._next().text if word in ("WHEN", "THEN", "ELSE") else self._expression())
        return found
