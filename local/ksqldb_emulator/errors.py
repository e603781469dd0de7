"""What the server answers when it cannot do what it was asked, in ksqlDB's shapes."""

from typing import Any

BAD_REQUEST = 40000
BAD_STATEMENT = 40001
QUERY_ENDPOINT = 40002
SERVER_ERROR = 50000
NOT_READY = 50300


class KsqlError(Exception):
    """An answer that is an error. With the text of a statement it is `statement_error`, without one `generic_error`."""

    def __init__(self, message: str, code: int = BAD_REQUEST) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.text: str | None = None
        self.entities: list[dict[str, Any]] = []  # what the request's earlier statements answered

    @property
    def status(self) -> int:
        """The HTTP status: ksqlDB's codes begin with it."""
        return self.code // 100

    def answer(self) -> dict[str, Any]:
        """The body of the HTTP answer."""
        error = {"error_code": self.code, "message": self.message}
        if self.text is None:
            return {"@type": "generic_error", **error}
        return {"@type": "statement_error", **error, "statementText": self.text, "entities": self.entities}


class Refused(KsqlError):
    """A statement that cannot be carried out. The engine adds the statement's text."""

    def __init__(self, message: str, code: int = BAD_STATEMENT) -> None:
        super().__init__(message, code)


def not_here(what: str) -> str:
    """The hint for what the real server can do and the emulator cannot."""
    return f"{what} is ksqlDB's, but the local emulator does not have it: use the real server (source start.sh)"
