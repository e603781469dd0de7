"""Valid amounts: finite decimal numbers that a double holds without loss. No I/O."""

import math
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, FiniteFloat
from pydantic_core import PydanticCustomError


def amount(written: Any) -> Any:
    """The double for an amount as written. Anything that is not a number is returned as it is, for pydantic to reject.

    Every later stage (ksqlDB, the validator's API, MongoDB, S3) keeps amounts as doubles, so an amount with more digits
    than a double has would silently change: 9007199254740993 would become 9007199254740992. Raises ValueError for such an
    amount, for a boolean, and for a number with underscores, as in Python's literals.
    """
    if isinstance(written, bool):
        raise PydanticCustomError("amount_boolean", "Input should be a number, not a boolean")
    if isinstance(written, str) and "_" in written:
        raise PydanticCustomError("amount_underscore", "Input should be a number without underscores")
    if not isinstance(written, str | int):
        return written
    try:
        double = float(written)
    except (ValueError, OverflowError):
        return written
    if math.isfinite(double) and not holds(double, written):
        raise PydanticCustomError("amount_digits", "Input should be a number that a double can hold without a loss")
    return written


def holds(double: float, written: str | int) -> bool:
    """Whether a finite double, rounded to as many digits as `written` has, equals `written`.

    This holds for any text that a language writes for a double: the shortest one, 17 digits, or all digits.
    """
    try:
        exact = Decimal(written)
    except InvalidOperation:  # its exponent is out of range even for Decimal
        return False
    if Decimal(repr(double)) == exact:
        return True
    digits = "".join(map(str, exact.as_tuple().digits)).strip("0")
    context = Context(prec=max(len(digits), 1), Emin=MIN_EMIN, Emax=MAX_EMAX)
    return context.create_decimal(Decimal(double)) == exact


Amount = Annotated[FiniteFloat, BeforeValidator(amount)]
