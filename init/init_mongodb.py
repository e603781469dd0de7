"""Creates the indexes that people's queries use. Idempotent; fails loudly, and never shows the URI's password.

The sink finds its documents by `_id`, which is the id of the row and has an index of its own. The indexes here are for
queries by the fields' names. They are not unique: a row whose ID is not its key would stop the sink at that record.

Environment: MONGODB_URI, MONGODB_DATABASE (fraudulent_transactions_db), MONGODB_TRANSACTIONS_COLLECTION (transactions),
MONGODB_USERS_COLLECTION (users).
"""

import logging
import re
import sys
import time
from pathlib import Path

from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, PyMongoError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the script is run by its path

from contracts.kafka import SettingsError
from contracts.service import Environment, load_settings

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
    """Wait for the server, then create what is missing."""
    settings = load_settings(Settings)
    try:
        with MongoClient(settings.uri.get_secret_value(), serverSelectionTimeoutMS=TRY_SECONDS * 1000) as client:
            _await_server(client)
            for collection, field in settings.indexes:
                client[settings.database][collection].create_index(field)
    except PyMongoError as error:
        # Behind the problem the driver adds its whole view of the cluster, or the server's whole answer.
        reason = re.split(", Timeout:|, full error:", re.sub(r"://\S+@", "://***@", str(error)))[0]
        raise SettingsError(f"MongoDB: {reason}") from None
    logger.info("the indexes of %s are there", settings.database)


def _await_server(client: MongoClient) -> None:
    deadline = time.monotonic() + SERVER_SECONDS
    while True:
        try:
            client.admin.command("ping")
            return
        except AutoReconnect:
            if time.monotonic() >= deadline:
                raise
            logger.info("waiting for MongoDB")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        main()
    except SettingsError as error:
        logger.error("%s", error)
        sys.exit(1)
