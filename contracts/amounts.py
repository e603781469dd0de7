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
    if not isinstance(written, str | int | Decimal):
        return written
    try:
        exact = Decimal(written)
    except InvalidOperation:
        return written
    double = float(exact)
    if math.isfinite(double) and not holds(double, exact):
        raise PydanticCustomError("amount_digits", "Input should be a number that a double can hold without a loss")
    return written if isinstance(written, str) else double


def holds(double: float, exact: Decimal) -> bool:
    """Whether a finite double, written with as many digits as the number has, is that number.

    That is so for the text that any language writes for a double: the shortest, 17 digits, or all of them.
    """
    if Decimal(repr(double)) == exact:
        return True
    digits = "".join(map(str, exact.as_tuple().digits)).strip("0")
    context = Context(prec=max(len(digits), 1), Emin=MIN_EMIN, Emax=MAX_EMAX)
    return context.create_decimal(Decimal(double)) == exact


Amount = Annotated[FiniteFloat, BeforeValidator(amount)]
