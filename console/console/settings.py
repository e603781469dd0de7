"""The console's settings: where the parts are that it looks at, and where it listens."""

from typing import Annotated

from pydantic import AfterValidator, AnyHttpUrl, Field

from contracts.service import Environment, ValidatorUrl

Url = Annotated[str, AfterValidator(lambda url: str(AnyHttpUrl(url)).rstrip("/"))]
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(Environment):
    """The cluster's own settings (KAFKA_...) are those of every client: contracts.kafka."""

    kconnect_url: Url
    ksqldb_url: Url
    fraud_validator_url: ValidatorUrl
    # Where the two services serve /healthz and /metrics; the host's name may stand for several replicas.
    ingestor_metrics_url: Url
    processor_metrics_url: Url
    console_host: str = "127.0.0.1"
    console_port: Port = 8080
