"""The simulator's settings."""

from typing import Annotated

from pydantic import Field, NonNegativeInt

from contracts import topics
from runtime.service import Environment, Share


class KafkaSettings(Environment):
    """Named as the third-party image names them."""

    kafka_bootstrap_servers: str
    kafka_topic: str = topics.BANK_TRANSACTIONS
    kafka_client_id: str = "multi-bank-system"


class BankSettings(Environment, env_prefix="BANK_"):
    """What this simulator adds: the rate in messages per second (0 = as fast as can be) and the mix."""

    rate: Annotated[float, Field(ge=0, le=1_000_000)] = 10.0
    count: NonNegativeInt = 0  # 0 = endless
    seed: int | None = None  # None = another stream at each start
    customers: Annotated[int, Field(ge=2, le=100_000)] = 500
    fraudulent_share: Share = 0.2
    poison_share: Share = 0.0
