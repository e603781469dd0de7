"""An application of Quix Streams from one topic to one sink, as `runtime.quix` has it for the services."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quixstreams import Application

from runtime.quix import RecordSink, _Application, survive_rebalances


def application(
    bootstrap: str, topic: str, folder: Path, sink: RecordSink, commit_interval: float, consumer: Mapping[str, Any]
) -> Application:
    """Exactly-once, from the earliest record; its group has the topic's name. `consumer` are more of its settings."""
    made = _Application(
        broker_address=bootstrap,
        consumer_group=topic,
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        use_changelog_topics=False,
        state_dir=folder,
        commit_interval=commit_interval,
        consumer_extra_config=dict(consumer),
        loglevel=None,
    )
    dataframe = made.dataframe(made.topic(topic, value_deserializer="bytes"))
    dataframe.sink(sink)
    survive_rebalances(dataframe.processing_context)
    return made
