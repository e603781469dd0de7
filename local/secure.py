"""KAFKA_SECURE=1: brokers that speak TLS and know their users. The passwords and certificates are this clone's own.

Services sign in by SCRAM. The brokers themselves and the launcher do so by PLAIN, since SCRAM's users are kept by the brokers and
are not there before one runs; PLAIN's are in the brokers' settings, which their user alone can read.
"""

import json
import re
import secrets
from pathlib import Path

from local import files
from local.rights import LAUNCHER, RIGHTS
from local.settings import Addresses, Folders
from runtime.errors import UserError

# What brokers call themselves to each other: they may do everything. It also makes the users.
BROKERS = "brokers"
PLAIN = (BROKERS, LAUNCHER)
SCRAM = tuple(user for user in RIGHTS if user != LAUNCHER)
MECHANISM = "SCRAM-SHA-512"
LOGIN = "org.apache.kafka.common.security"
PASSWORD = re.compile("[0-9a-f]{32}")
CERTIFICATE, BROKERS_KEY = "certificate.pem", "brokers.pem"


def prepare(folders: Folders) -> None:
    """Make what is not there yet: a password for each user, and the certificate."""
    known = _passwords(folders)
    if not all(PASSWORD.fullmatch(known.get(user, "")) for user in (*PLAIN, *SCRAM)):
        made = {user: secrets.token_hex(16) for user in (*PLAIN, *SCRAM)}
        files.write(_file(folders), json.dumps(made), mode=0o600)
    from local import certificates  # its library takes 10 MiB, which a launcher without security saves

    certificates.make(_folder(folders) / CERTIFICATE, _folder(folders) / BROKERS_KEY)


def kafka_environment(stack: Addresses, user: str) -> dict[str, str]:
    """The variables by which a client reaches the stack's brokers, and gets in as this user where they know users."""
    variables = {"KAFKA_BOOTSTRAP_SERVER": stack.bootstrap}
    if stack.kafka_secure:
        variables |= {
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "PLAIN" if user in PLAIN else MECHANISM,
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": password(stack.folders, user),
            "KAFKA_SSL_CA_LOCATION": str(_folder(stack.folders) / CERTIFICATE),
        }
    return variables


def password(folders: Folders, user: str) -> str:
    """Raises UserError when the file of the passwords has none."""
    try:
        return _passwords(folders)[user]
    except KeyError:
        raise UserError(f"{_file(folders)} has no password of {user}: stop the stack and start it again") from None


def listeners(folders: Folders, clients: str, controllers: str) -> dict[str, str]:
    """A broker's settings for its two listeners, given as HOST:PORT."""
    plain = _jaas("plain.Plain", folders, BROKERS)
    users = "".join(f' user_{user}="{password(folders, user)}"' for user in PLAIN)
    plain_and_users = f"{plain}{users};"
    return {
        "listeners": f"CLIENTS://{clients},CONTROLLER://{controllers}",
        "advertised.listeners": f"CLIENTS://{clients}",
        "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:SASL_SSL",
        "inter.broker.listener.name": "CLIENTS",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.clients.sasl.enabled.mechanisms": f"{MECHANISM},PLAIN",
        "listener.name.clients.plain.sasl.jaas.config": plain_and_users,
        f"listener.name.clients.{MECHANISM.lower()}.sasl.jaas.config": f"{LOGIN}.scram.ScramLoginModule required;",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": plain_and_users,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(_folder(folders) / BROKERS_KEY),
        **truststore(folders),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{BROKERS}",
    }


def java(stack: Addresses, user: str) -> dict[str, str]:
    """What Connect's worker needs besides kafka_environment(): Java's clients take name and password in one line."""
    if not stack.kafka_secure:
        return {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", "KAFKA_SASL_MECHANISM": "", "KAFKA_SASL_JAAS_CONFIG": ""}
    return {"KAFKA_SASL_JAAS_CONFIG": f"{_jaas('scram.Scram', stack.folders, user)};"}


def truststore(folders: Folders) -> dict[str, str]:
    """How a Java client knows the brokers of this clone."""
    return {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(_folder(folders) / CERTIFICATE)}


def _jaas(module: str, folders: Folders, user: str) -> str:
    return f'{LOGIN}.{module}LoginModule required username="{user}" password="{password(folders, user)}"'


def _passwords(folders: Folders) -> dict[str, str]:
    try:
        known = json.loads(_file(folders).read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _file(folders: Folders) -> Path:
    return _folder(folders) / "passwords.json"


def _folder(folders: Folders) -> Path:
    return folders.run / "secure"
