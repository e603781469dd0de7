"""What any program on this machine may ask the running stack."""

import requests

from local.settings import HOST
from tests.support.stack import Stack


def public_urls(stack: Stack) -> list[str]:
    """The console's page is left out: it names the people of the newest frauds."""
    ports = stack.settings.ports
    metrics = (
        ports.ingestor_metrics_port,
        ports.processor_metrics_port,
        ports.ksqldb_metrics_port,
        ports.archiver_metrics_port,
    )
    connectors = [f"{stack.connect_url}/connectors/{name}" for name in ("mongodb-transactions", "mongodb-users")]
    return [
        f"{stack.connect_url}/connectors?expand=info&expand=status",
        *(f"{connector}/{what}" for connector in connectors for what in ("config", "status", "tasks", "topics")),
        *(f"{stack.ksqldb_url}/{what}" for what in ("info", "healthcheck")),
        *(f"{stack.validator_url}/{what}" for what in ("health", "openapi.json", "docs")),
        *(f"{stack.settings.console_url}/{what}" for what in ("api/state", "metrics", "healthz")),
        *(f"http://{HOST}:{port}/{what}" for port in metrics for what in ("metrics", "healthz")),
    ]


def answer_of(url: str) -> str:
    """Raises HTTPError for any but a good answer, which would prove nothing."""
    answer = requests.get(url, timeout=10)
    answer.raise_for_status()
    return answer.text
