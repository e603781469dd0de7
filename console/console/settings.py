"""The console's settings: where the services are that it looks at, and where it listens."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AnyHttpUrl, PositiveFloat

from runtime.service import Environment, Port, ValidatorUrl

Url = Annotated[str, AfterValidator(lambda url: str(AnyHttpUrl(url)).rstrip("/"))]


class Settings(Environment):
    """The cluster's own settings (KAFKA_...) are those of every client: runtime.kafka."""

    kconnect_url: Url
    # A cluster's second worker, which goes on with the connectors when the first one is down.
    kconnect_2_url: Url | None = None
    ksqldb_url: Url
    fraud_validator_url: ValidatorUrl
    # Where the two services serve /healthz and /metrics; the host's name may stand for several replicas.
    ingestor_metrics_url: Url
    processor_metrics_url: Url
    # The longest time that a row waits for its object in S3, and its offset to be committed.
    archive_interval_seconds: PositiveFloat = 5.0
    # The disk of the stack's data is that of this folder: a container's own is on Docker's disk, as its volumes are.
    data_folder: Path = Path("/")
    # In the local mode, where the launcher writes what it knows of its processes; in Docker, the containers that should run.
    launcher_state: Path | None = None
    containers: str = ""
    console_host: str = "127.0.0.1"
    console_port: Port = 8080
