"""The simulator's settings."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat
from pydantic_settings import NoDecode

from runtime.service import Environment, Share

Ids = Annotated[set[str], NoDecode]


class ServerSettings(Environment, env_prefix="VALIDATOR_"):
    """Where to listen."""

    host: str = "127.0.0.1"
    port: int = 8000


class Simulation(Environment, env_prefix="VALIDATOR_"):
    """How the validator behaves. The shares are of all calls; `latency_ms` is added to each."""

    fraudulent_share: Share = 0.3
    latency_ms: NonNegativeFloat = 0.0
    failure_share: Share = 0.0  # answers HTTP 500
    poison_share: Share = 0.0  # answers 200 with a body that is not the contract's
    hang: bool = False  # takes the call and never answers
    # Of single transactions, only at run time: HTTP 422, HTTP 500, a call that is taken and never answered.
    refused_ids: Ids = Field(default_factory=set)
    failed_ids: Ids = Field(default_factory=set)
    ignored_ids: Ids = Field(default_factory=set)
