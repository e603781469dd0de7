"""The processor's settings."""

from typing import Annotated

from pydantic import Field

from runtime import services
from runtime.service import Environment, ValidatorUrl

SERVICE = services.PROCESSOR


class Settings(Environment):
    """Where the validator is, and how much load it may get."""

    fraud_validator_url: ValidatorUrl
    # The most calls to the validator that may be open at once; throughput cannot exceed this number divided by the validator's
    # latency. Up to 8 more calls are retries for transactions that got no answer at first.
    fraud_validator_max_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 128
    # The timeout of one try, in seconds. A call has three tries before its checkpoint is aborted for now, but only one if that
    # try times out. All of them have to be over within the minute that a rebalance gives an open checkpoint.
    fraud_validator_timeout: Annotated[float, Field(gt=0, le=15)] = 2.0
