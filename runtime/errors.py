"""The only error that is printed as a single line, without a traceback."""


class UserError(Exception):
    """An error that the user can fix: the message says what is wrong, where, and what to do."""
