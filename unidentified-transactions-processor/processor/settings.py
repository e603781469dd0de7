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
    # latency. Up to 64 more calls are retries for transactions that got no answer at first.
    fraud_validator_max_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 128
    # The timeout of one try, in seconds. A call has three tries before its checkpoint is aborted for now, but only one if that
    # try times out. Two calls have to be over within a minute, which is what a rebalance gives an open checkpoint and
    # runtime/hang.py a service: one for a place among those that are open, and one when the checkpoint is written.
    fraud_validator_timeout: Annotated[float, Field(gt=0, le=9)] = 2.0
