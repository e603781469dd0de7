"""Kafka client settings from the environment, the same for every client of the stack."""

import os
from collections.abc import Mapping


class SettingsError(Exception):
    """A setting is missing or has a value that cannot be used; the message says which and what to do."""


# Environment variable -> librdkafka property: with these the same code runs against a managed or a secured cluster.
_SECURITY = {
    "KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "KAFKA_SASL_USERNAME": "sasl.username",
    "KAFKA_SASL_PASSWORD": "sasl.password",
    "KAFKA_SSL_CA_LOCATION": "ssl.ca.location",
}


def bootstrap_server(environ: Mapping[str, str] = os.environ) -> str:
    """The broker's address. Raises SettingsError when KAFKA_BOOTSTRAP_SERVER is not set."""
    server = environ.get("KAFKA_BOOTSTRAP_SERVER", "").strip()
    if not server:
        raise SettingsError("KAFKA_BOOTSTRAP_SERVER is not set: give it the broker's address, such as localhost:9092")
    return server


def security_config(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The librdkafka properties for the security settings that are set."""
    return {name: environ[variable] for variable, name in _SECURITY.items() if environ.get(variable)}


def client_config(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What every librdkafka client needs to reach the cluster."""
    return {"bootstrap.servers": bootstrap_server(environ), **security_config(environ)}
