"""Creates the indexes for queries by users. Idempotent; exits with an error when it cannot, never showing the URI's password.

The sink finds its documents by `_id`, which is the row's id and has its own index. The indexes here are for queries by
field name. They are not unique: a row whose ID is not its key would stop the sink at that record.

Environment: MONGODB_URI, MONGODB_DATABASE (fraudulent_transactions_db), MONGODB_TRANSACTIONS_COLLECTION (transactions),
MONGODB_USERS_COLLECTION (users).
"""

import logging
import re

from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, PyMongoError

from runtime.errors import UserError, without_credentials
from runtime.service import Environment, load_settings, run_command
from runtime.waiting import until

logger = logging.getLogger("init_mongodb")

SERVER_SECONDS = 60
TRY_SECONDS = 3


class Settings(Environment, env_prefix="MONGODB_"):
    """The same names as at the top of init_kconnect.sh."""

    uri: SecretStr
    database: str = "fraudulent_transactions_db"
    transactions_collection: str = "transactions"
    users_collection: str = "users"

    @property
    def indexes(self) -> list[tuple[str, str]]:
        """Collection and field."""
        return [
            (self.users_collection, "ID"),
            (self.transactions_collection, "TRANSACTION_ID"),
            (self.transactions_collection, "SENDER_ID"),
            (self.transactions_collection, "RECEIVER_ID"),
        ]


def main() -> None:
    """Wait for the server, then create the missing indexes."""
    settings = load_settings(Settings)
    try:
        with MongoClient(settings.uri.get_secret_value(), serverSelectionTimeoutMS=TRY_SECONDS * 1000) as client:
            until(
                lambda: client.admin.command("ping"), SERVER_SECONDS, "MongoDB has not answered", AutoReconnect, _reason
            )
            for collection, field in settings.indexes:
                client[settings.database][collection].create_index(field)
    except PyMongoError as error:
        raise UserError(f"MongoDB: {_reason(error)}") from None
    logger.info("the indexes of %s exist", settings.database)


def _reason(error: PyMongoError) -> str:
    """The problem, without the driver's full view of the cluster, the server's full response and the URI's password."""
    return re.split(", Timeout:|, full error:", without_credentials(str(error)))[0]


if __name__ == "__main__":
    run_command(main)
