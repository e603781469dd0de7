"""What the user can set of the local stack's services, checked by the classes that the services read it with."""

import os
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from bank.settings import BankSettings
from contracts.service import Environment, variable
from init.init_kafka import Settings as TopicSettings
from local.checked import Checked
from processor.settings import Settings as ProcessorSettings
from validator.settings import Simulation


def _one(copies: int) -> int:
    if copies != 1:
        raise ValueError("must be 1: the local stack has one broker")
    return copies


class LocalTopics(TopicSettings):
    """What one broker with its small heap can keep: with 1,000 partitions a topic it could not be stopped, with 200 it could."""

    partitions: Annotated[int, Field(ge=1, le=100)] = 6
    replication_factor: Annotated[int, AfterValidator(_one)] = 1


def user_settings(checked: Checked, environ: Mapping[str, str] = os.environ) -> dict[str, dict[str, str]]:
    """By service: the variables that the user has set of it."""

    def own(settings: type[Environment], **launchers: object) -> dict[str, str]:
        """All but those that the launcher gives the service itself."""
        checked.read(settings, **launchers)
        names = [variable(settings, name) for name in settings.model_fields if name not in launchers]
        return {name: environ[name] for name in names if environ.get(name)}

    return {
        "init_kafka": own(LocalTopics),
        "multi-bank-system": own(BankSettings),
        "fraud-validator-api": own(Simulation),
        "unidentified-transactions-processor": own(ProcessorSettings, fraud_validator_url="http://localhost"),
    }
