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
    wanted = {binding for user in RIGHTS for binding in bindings(user)}
    every = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    there = set(admin.describe_acls(every, request_timeout=SECONDS).result())
    ours = {f"User:{user}" for user in RIGHTS}
    old = [
        AclBindingFilter(
            one.restype,
            one.name,
            one.resource_pattern_type,
            one.principal,
            one.host,
            one.operation,
            one.permission_type,
        )
        for one in there - wanted
        if one.principal in ours
    ]
    if old:
        for future in admin.delete_acls(old, request_timeout=SECONDS).values():
            future.result()
    if wanted - there:
        for future in admin.create_acls([*wanted - there], request_timeout=SECONDS).values():
            future.result()


if __name__ == "__main__":
    run_command(main)
