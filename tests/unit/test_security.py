"""The settings by which every client of the stack is let in by a secured broker."""

import pytest

from runtime.errors import UserError
from runtime.kafka import SASL, security_config

SCRAM = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "me",
    "KAFKA_SASL_PASSWORD": "pass-word",
}


def test_nothing_set_is_a_plain_client_and_empty_counts_as_unset() -> None:
    assert security_config({}) == security_config(dict.fromkeys(SCRAM, "")) == {}


def test_all_that_is_set_reaches_librdkafka() -> None:
    assert security_config({**SCRAM, "KAFKA_SSL_CA_LOCATION": "/ca.pem"}) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": "pass-word",
        "ssl.ca.location": "/ca.pem",
    }


@pytest.mark.parametrize("variable", SASL)
def test_sasl_names_what_is_not_set(variable: str) -> None:
    with pytest.raises(UserError, match=f"^{variable} not set: KAFKA_SECURITY_PROTOCOL=SASL_SSL needs "):
        security_config({**SCRAM, variable: ""})


@pytest.mark.parametrize("protocol", ["", "PLAINTEXT", "SSL"])
def test_credentials_need_a_protocol_that_uses_them(protocol: str) -> None:
    with pytest.raises(UserError, match=r"^KAFKA_SASL_USERNAME is set, .* does not use it") as raised:
        security_config({**SCRAM, "KAFKA_SECURITY_PROTOCOL": protocol, "KAFKA_SASL_MECHANISM": ""})
    assert "pass-word" not in str(raised.value)


def test_an_authority_needs_a_protocol_with_certificates() -> None:
    with pytest.raises(UserError, match=r"^KAFKA_SSL_CA_LOCATION is set, .* SASL_PLAINTEXT, which does not use it"):
        security_config({**SCRAM, "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SSL_CA_LOCATION": "/ca.pem"})


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("KAFKA_SECURITY_PROTOCOL", "TLS", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
    ],
)
def test_an_unknown_value_is_refused_with_those_that_are_known(variable: str, value: str, allowed: str) -> None:
    with pytest.raises(UserError, match=f"^{variable}='{value}' must be {allowed}$"):
        security_config({**SCRAM, variable: value})
