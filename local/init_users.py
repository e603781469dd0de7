"""`python -m local.init_users`, as a broker's user: gives each user of a secured broker its password and just its rights."""

import logging

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from local import secure
from local.rights import RIGHTS, bindings
from local.settings import folders
from runtime.kafka import client_config
from runtime.lost import Admin
from runtime.service import run_command
from runtime.waiting import until

logger = logging.getLogger("init_users")

BROKER_SECONDS = 60
SECONDS = 20.0
ITERATIONS = 4096


def main() -> None:
    """Idempotent."""
    kafka = Admin(client_config() | {"client.id": "init-users"}, logging.getLogger("kafka"))
    until(
        lambda: _set(kafka),
        BROKER_SECONDS,
        "the users of the broker were not made",
        KafkaException,
        reason=lambda error: error.args[0].str(),
    )


def _set(kafka: Admin) -> None:
    own = folders()
    credentials = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
    passwords = [
        UserScramCredentialUpsertion(user, credentials, secure.password(own, user).encode()) for user in secure.SCRAM
    ]
    with kafka.client() as admin:
        for future in admin.alter_user_scram_credentials(passwords, request_timeout=SECONDS).values():
            future.result()
        _set_rights(admin)
    logger.info("%d users have their passwords and rights", len(passwords))


def _set_rights(admin: AdminClient) -> None:
    old = [
        AclBindingFilter(
            ResourceType.ANY,
            None,
            ResourcePatternType.ANY,
            f"User:{user}",
            None,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for user in RIGHTS
    ]
    new = [one for user in RIGHTS for one in bindings(user)]
    for future in admin.delete_acls(old, request_timeout=SECONDS).values():
        future.result()
    for future in admin.create_acls(new, request_timeout=SECONDS).values():
        future.result()


if __name__ == "__main__":
    run_command(main)
