"""What the user can set of the local stack's services, checked by the classes that the services read it with."""

import os
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from bank.settings import BankSettings
from init.init_kafka import Settings as TopicSettings
from local.checked import Checked
from processor.settings import Settings as ProcessorSettings
from runtime import services
from runtime.service import Environment, variable
from runtime.tracing import Settings as TracingSettings
from validator.settings import Simulation

COLLECTOR = "OTEL_EXPORTER_OTLP_ENDPOINT"
# The same in Docker: docker-compose.yml.
SAMPLING = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
# Of the agent. Only spans: it would send what the Java services log as well, and records are in it. And only those of Kafka's
# clients, one for each record: its spans of Connect are each of a batch, in a trace of its own. No trace begins there.
JAVA_AGENT = {
    "OTEL_TRACES_SAMPLER": "parentbased_always_off",
    "OTEL_SERVICE_NAME": services.KAFKA_CONNECT,
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED": "false",
    "OTEL_INSTRUMENTATION_KAFKA_ENABLED": "true",
}


def user_settings(checked: Checked, brokers: int) -> dict[str, dict[str, str]]:
    """By service: the variables that the user has set of it."""

    def copies(count: int | None) -> int | None:
        if count is not None and not 1 <= count <= brokers:
            raise ValueError("must be 1: the local stack has one broker" if brokers == 1 else f"must be 1 to {brokers}")
        return count

    class Topics(TopicSettings):
        # What one broker with its small heap can keep: of 1,000 partitions per topic it could not be stopped, of 200 it could.
        partitions: Annotated[int, Field(ge=1, le=100)] = 6
        replication_factor: Annotated[int | None, AfterValidator(copies)] = None

    def own(settings: type[Environment], **launchers: object) -> dict[str, str]:
        """All but those that the launcher gives the service itself."""
        checked.read(settings, **launchers)
        names = [variable(settings, name) for name in settings.model_fields if name not in launchers]
        return {name: os.environ[name] for name in names if os.environ.get(name)}

    traced = _traced(own(TracingSettings, otel_service_name=None))
    return {
        "init_kafka": own(Topics),
        "multi-bank-system": own(BankSettings) | traced,
        "transactions-ingestor": traced,
        "fraud-validator-api": own(Simulation),
        "unidentified-transactions-processor": own(ProcessorSettings, fraud_validator_url="http://localhost") | traced,
        **dict.fromkeys((services.KAFKA_CONNECT, services.KAFKA_CONNECT_2), traced and traced | JAVA_AGENT),
    }


def _traced(chosen: Mapping[str, str]) -> dict[str, str]:
    """The variables of a traced service, of what the user has set: nothing, unless there is a collector."""
    return {**SAMPLING, **chosen} if COLLECTOR in chosen else {}
