"""The processor's settings."""

from typing import Annotated

from pydantic import Field

from contracts.service import Environment, ValidatorUrl

SERVICE = "unidentified-transactions-processor"


class Settings(Environment):
    """Where the validator is and how hard it may be asked."""

    fraud_validator_url: ValidatorUrl
    # Calls to the validator that may be open at once; the throughput cannot exceed this number over its latency. Up to 8 more
    # are about transactions that got no answer at first.
    fraud_validator_max_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 128
    # Seconds that one try of a call may take. A call has three tries before its checkpoint is given up for now, but only one
    # when there is no answer at all in this time.
    fraud_validator_timeout: Annotated[float, Field(gt=0, le=60)] = 2.0
