"""The usual proof-of-concept way to ask a service from a stream: one `requests.post` after the other in `sdf.apply`."""

import os
import tempfile
from pathlib import Path
from threading import Event

import requests
from quixstreams import Application

from contracts import topics
from contracts.mapping import to_result, to_user_rows, to_validation_request
from contracts.models import FRAUDULENT, Transaction
from runtime.kafka import bootstrap_server
from runtime.service import run_service

SOURCE_PROCESS = "kafka-streams"


def main(_stopping: Event) -> None:
    """Run until stopped. GROUP is the consumer group."""
    url = os.environ["FRAUD_VALIDATOR_URL"] + "/validate"
    application = Application(
        broker_address=bootstrap_server(),
        consumer_group=os.environ["GROUP"],
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        commit_interval=0.25,
        state_dir=Path(tempfile.gettempdir(), "usual-processor"),
        loglevel="WARNING",
    )

    def is_fraudulent(value: dict) -> bool:
        request = to_validation_request(Transaction(**value)).model_dump()
        return requests.post(url, json=request, timeout=10).json()["is_fraudulent_transaction"]

    def result(value: dict) -> dict:
        return to_result(Transaction(**value), FRAUDULENT, SOURCE_PROCESS).model_dump()

    def users(value: dict) -> list[dict]:
        return [row.model_dump() for row in to_user_rows(Transaction(**value), SOURCE_PROCESS)]

    stream = application.dataframe(application.topic(topics.UNIDENTIFIED_TRANSACTIONS, value_deserializer="json"))
    stream = stream[stream.apply(is_fraudulent)]
    stream.apply(result).to_topic(
        application.topic(topics.FRAUDULENT_TRANSACTIONS_RESULT), key=lambda row: row["TRANSACTION_ID"]
    )
    stream.apply(users, expand=True).to_topic(application.topic(topics.USERS), key=lambda row: row["ID"])
    application.run()


if __name__ == "__main__":
    run_service(main)
