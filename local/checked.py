"""Reads settings and keeps what is wrong with them, so that all of it can be said at once."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from runtime.errors import UserError
from runtime.service import Environment, problems

SettingsT = TypeVar("SettingsT", bound=Environment)
ResultT = TypeVar("ResultT")


class Checked:
    """`wrong` has the fields that were found wrong, `problems` says of each what it has and what it must be."""

    def __init__(self) -> None:
        self.wrong: set[str] = set()
        self.problems: list[str] = []

    def read(self, settings: type[SettingsT], **known: Any) -> SettingsT:
        """The settings from the environment, but those that are `known`; what is wrong has its default in its place."""
        while True:
            try:
                return settings(**known)
            except ValidationError as error:
                for name, problem in problems(settings, error).items():
                    assert name not in known, problem
                    self.wrong.add(name)
                    self.problems.append(problem)
                    known[name] = settings.model_fields[name].get_default(call_default_factory=True)

    def attempt(self, read: Callable[[], ResultT]) -> ResultT | None:
        """What `read` returns, None when it raised a UserError."""
        try:
            return read()
        except UserError as error:
            self.problems.append(str(error))
            return None

    def end(self) -> None:
        """Raises UserError when anything was found."""
        if len(self.problems) > 1:
            raise UserError("\n  ".join(("settings that cannot be used:", *self.problems)))
        if self.problems:
            raise UserError(self.problems[0])
