"""What the server answers when it cannot do what it was asked, in ksqlDB's shapes."""

from __future__ import annotations

from typing import Any

BAD_REQUEST = 40000
BAD_STATEMENT = 40001
QUERY_ENDPOINT = 40002
SERVER_ERROR = 50000


class KsqlError(Exception):
    """An error without a statement: `generic_error`."""

    def __init__(self, message: str, code: int = BAD_REQUEST) -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    @property
    def status(self) -> int:
        """The HTTP status: ksqlDB's codes begin with it."""
        return self.code // 100

    def answer(self) -> dict[str, Any]:
        """The body of the HTTP answer."""
        return {"@type": "generic_error", "error_code": self.code, "message": self.message}


class StatementError(KsqlError):
    """An error of one statement: `statement_error`, with the statement's text."""

    def __init__(self, message: str, text: str, code: int = BAD_STATEMENT) -> None:
        super().__init__(message, code)
        self.text = text
        self.entities: list[dict[str, Any]] = []  # what the request's earlier statements answered

    def answer(self) -> dict[str, Any]:
        """The body of the HTTP answer."""
        return {
            "@type": "statement_error",
            "error_code": self.code,
            "message": self.message,
            "statementText": self.text,
            "entities": self.entities,
        }


class PlanError(Exception):
    """A statement that cannot be planned; the engine adds the text and the code."""


class ParseError(Exception):
    """A text that is no statement; its message names the line and the column."""
