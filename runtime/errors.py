"""The only error that is printed as a single line, without a traceback, and what must not be in it."""

import re


class UserError(Exception):
    """An error that the user can fix: the message says what is wrong, where, and what to do."""


def without_credentials(text: str) -> str:
    """The text with what stands before the host of a URL masked: users and passwords are in no log and no dead letter."""
    return re.sub(r"://\S+@", "://***@", text)
