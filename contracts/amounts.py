"""What an amount may be: a finite decimal number that a double holds. Pure."""

import math
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, FiniteFloat
from pydantic_core import PydanticCustomError


def amount(written: Any) -> Any:
    """The double that an amount as it was written stands for; what is no number is left to pydantic, to say so.

    Every later stage (ksqlDB, the validator's API, MongoDB, S3) keeps an amount as a double, so one with more digits than
    a double has would silently become another: 9007199254740993 would end as 9007199254740992. Raises ValueError for that,
    for a boolean, and for the underscores of Python's literals.
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
    """Whether the finite double of a number, written with as many digits as the number has, is that number.

    That is so for the text that any language writes for a double: the shortest, 17 digits, or all of them.
    """
    try:
        exact = Decimal(written)
    except InvalidOperation:  # its exponent is beyond all reason
        return False
    if Decimal(repr(double)) == exact:
        return True
    digits = "".join(map(str, exact.as_tuple().digits)).strip("0")
    context = Context(prec=max(len(digits), 1), Emin=MIN_EMIN, Emax=MAX_EMAX)
    return context.create_decimal(Decimal(double)) == exact


Amount = Annotated[FiniteFloat, BeforeValidator(amount)]
