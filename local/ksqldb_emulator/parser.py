"""Text to statements: the grammar, the data that comes of it, and errors that name their place."""

import re
from collections.abc import Callable
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.ast_utils import create_transformer
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError

from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.errors import Refused, not_here
from local.ksqldb_emulator.schema import RESERVED, TYPES, Field, SqlType

# What begins something that the real server runs and the emulator does not, where it breaks the emulator's grammar.
_ELSEWHERE = re.compile(
    r"(OR\s+REPLACE|INSERT\s+INTO|TABLES?|SOURCE|VALUES|PROPERTIES|FUNCTIONS?|CONNECTORS?|TYPES?|VARIABLES?|EXTENDED|BETWEEN"
    r"|IN|LIKE|CASE|CAST|GROUP\s+BY|HAVING|WINDOW|(INNER\s+|LEFT\s+|RIGHT\s+|FULL\s+)?JOIN|PRIMARY\s+KEY|HEADERS?|MAP|ARRAY"
    r"|DECIMAL|EMIT\s+FINAL|INTERVAL|SAMPLE|EXPLAIN|PAUSE|RESUME|UNSET|SET|UNDEFINE|DEFINE|ASSERT|ALTER|RUN\s+SCRIPT"
    r")\b|\|\||:=|=>|[-+*/%\[]",
    re.IGNORECASE,
)
_LARK = Lark.open("grammar.lark", rel_to=__file__, parser="lalr", propagate_positions=True, maybe_placeholders=True)
_LAST_WORD = re.compile(r"\w+\s*\Z")
_OTHER_TYPES = frozenset({"ARRAY", "BYTES", "DATE", "DECIMAL", "MAP", "TIME", "TIMESTAMP"})
_LONG = 2**63
_DIGITS = 20  # more than a BIGINT has, its sign included


def parse(text: str) -> list[t.Parsed]:
    """All statements of a text. Raises Refused when any of it is no statement."""
    try:
        return create_transformer(t, _Values(text)).transform(_LARK.parse(text))
    except UnexpectedInput as error:
        problem = Refused(_complaint(text, error))
    except VisitError as error:
        if not isinstance(error.orig_exc, Refused):
            raise
        problem = error.orig_exc
    except RecursionError:
        problem = Refused("the statement has too many nested expressions")
    problem.text = text
    raise problem from None


def _complaint(text: str, error: UnexpectedInput) -> str:
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        end = text.rstrip()
        missing = "a ';' is missing" if not end.endswith(";") else "it ends too early"
        return f"line {text.count(chr(10)) + 1}: syntax error at the end: {missing}"
    place = f"line {error.line}:{error.column}: "
    start = error.pos_in_stream or 0
    word = _LAST_WORD.search(text, 0, start)
    for here in (start, word.start() if word else start):
        if found := _ELSEWHERE.match(text, here):
            return place + not_here(found[0].upper())
    near = error.token if isinstance(error, UnexpectedToken) else text[start]
    return f"{place}syntax error at '{near}'"


def _at(token: Any, message: str) -> Refused:
    return Refused(f"line {token.line}:{token.column}: {message}")


def _list(of: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    return lambda _, children: of(children)


class _Values(Transformer):
    """Makes of each rule that is no class of tree.py a plain value."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    start, elements, items, partition_by = _list(list), _list(tuple), _list(tuple), _list(tuple)
    if_not_exists = if_exists = delete_topic = from_beginning = key = emit = _list(lambda _: True)
    properties = _list(dict)
    property = _list(lambda children: (children[0].upper(), children[1]))
    where = _list(lambda children: children[0])
    sign = what = _list(lambda children: children[0].upper())
    null, true, false = _list(lambda _: None), _list(lambda _: True), _list(lambda _: False)
    topic = _list(lambda children: str(children[0]))  # Kafka knows lower case
    limit = _list(lambda children: int(children[0]))
    decimal = _list(lambda children: float("".join(children)))
    is_not_null = _list(lambda children: t.Not(t.IsNull(*children)))
    terminate_all = _list(lambda _: t.Terminate(None))
    call = _list(lambda children: t.FunctionCall(children[0], tuple(c for c in children[1:] if c is not None)))
    struct_type = _list(lambda children: SqlType("STRUCT", tuple(children)))
    struct_field = _list(lambda children: Field(*children))

    @v_args(meta=True)
    def single(self, meta: Any, children: list[t.Statement]) -> t.Parsed:
        return t.Parsed(children[0], self._text[meta.start_pos : meta.end_pos])

    @v_args(meta=True)
    def qualified_column(self, meta: Any, children: list[str]) -> t.Column:
        source, name = children
        return t.Column(meta, name, source)

    def plain(self, children: list[Token]) -> str:
        (name,) = children
        if name.upper() in RESERVED:
            raise _at(name, f"{name} is a reserved word: as a name it is written `{name.upper()}`")
        return name.upper()

    def quoted(self, children: list[Token]) -> str:
        (name,) = children
        return name[1:-1].replace(name[0] * 2, name[0])

    def string(self, children: list[Token]) -> str:
        return children[0][1:-1].replace("''", "'")

    def integer(self, children: list[Token]) -> int:
        digits = "".join(children)
        if len(digits) > _DIGITS or not -_LONG <= int(digits) < _LONG:
            raise _at(children[-1], f"{digits[:_DIGITS]} is no BIGINT")
        return int(digits)

    @v_args(meta=True)
    def base_type(self, meta: Any, children: list[str]) -> SqlType:
        (name,) = children
        if name not in TYPES:
            other = not_here(f"the type {name}") if name in _OTHER_TYPES else f"there is no type {name}"
            raise _at(meta, f"{other}; the types are {', '.join(TYPES)} and STRUCT")
        return TYPES[name]
