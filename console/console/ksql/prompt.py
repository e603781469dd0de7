"""The prompt: reads statements, carries them out, shows what comes."""

import sys
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from rich.console import Console
from rich.text import Text

from console.ksql import tables
from console.ksql.statements import LEAVE, complete, setting
from console.terminal import screen
from runtime.ksqldb import KsqlClient, KsqlError, split

GREETING = (
    "ksqlDB {version} at {url}. End each statement with ; . Ctrl-C stops a query, exit or Ctrl-D quits.\n"
    "SHOW TOPICS;  SHOW STREAMS;  PRINT 'users' FROM BEGINNING LIMIT 3;  SELECT * FROM sender_users EMIT CHANGES;"
)


class Shell:
    """Carries out statements on a server and shows what they answer."""

    def __init__(self, client: KsqlClient, console: Console) -> None:
        self._client = client
        self._console = console

    def run(self, text: str) -> bool:
        """All statements of a text, up to the first that fails. Whether none did; what is wrong is shown."""
        for statement in split(text):
            try:
                self._carry_out(statement)
            except (KsqlError, ValueError) as error:
                self._console.print(Text(str(error), "red"))
                return False
        return True

    def _carry_out(self, statement: str) -> None:
        match statement.split(None, 1)[0].upper().rstrip(";"):
            case "SET" | "UNSET":
                name, value = setting(statement)
                self._client.properties.pop(name, None)
                if value is not None:
                    self._client.properties[name] = value
            case "SELECT":
                for number, values in enumerate(self._client.rows(statement)):
                    self._console.print((tables.row if number else tables.head)(values, self._console.width))
            case "PRINT":
                for line in self._client.records(statement):
                    self._console.print(Text(line), soft_wrap=True)
            case _:
                for entity in self._client.run(statement):
                    self._console.print(tables.shown(entity))


def main(url: str, history: Path, statement: str | None) -> int:
    """One statement, or what stands on stdin, or a prompt when that is a terminal. Returns the exit code."""
    client = KsqlClient(url)
    shell = Shell(client, screen())
    try:
        if statement is None and sys.stdin.isatty():
            return _prompt(shell, client, history)
        return 0 if shell.run(sys.stdin.read() if statement is None else statement) else 1
    except KeyboardInterrupt:
        return 0  # that is how a query ends
    except BrokenPipeError:
        sys.stderr.close()  # `| head` has what it wanted
        return 0


def _prompt(shell: Shell, client: KsqlClient, history: Path) -> int:
    try:
        greeting = GREETING.format(version=client.info()["version"], url=client.url)
    except KsqlError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(greeting + "\n")
    history.touch(mode=0o600)
    session: PromptSession[str] = PromptSession(
        "ksql> ",
        history=FileHistory(str(history)),
        multiline=True,
        prompt_continuation="    > ",
        key_bindings=_bindings(),
    )
    while True:
        try:
            text = session.prompt()
        except KeyboardInterrupt:
            continue  # what was typed is thrown away
        except EOFError:
            return 0
        if text.strip().lower().rstrip("; ") in LEAVE:
            return 0
        try:
            shell.run(text)
        except KeyboardInterrupt:
            sys.stdout.write("\nQuery terminated\n")


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def _(event: KeyPressEvent) -> None:
        if complete(event.current_buffer.text):
            event.current_buffer.validate_and_handle()
        else:
            event.current_buffer.insert_text("\n")

    return bindings
