"""What statements do: ids, answers, refusals, and what is still there after a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local.ksqldb_emulator.errors import KsqlError, StatementError
from local.ksqldb_emulator.topics import Topic

SOURCE = "CREATE STREAM s (k VARCHAR KEY, a VARCHAR, n INTEGER, d DOUBLE) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');"
COPY = "CREATE STREAM copy WITH (KAFKA_TOPIC='copy') AS SELECT * FROM s EMIT CHANGES;"


@pytest.fixture
def world(make_world: Callable[..., Any]) -> Any:
    world = make_world("t")
    world.run(SOURCE)
    return world


def failure(world: Any, text: str) -> KsqlError:
    with pytest.raises(KsqlError) as error:
        world.run(text)
    return error.value


# numbers and answers


def test_queries_are_numbered_by_the_command_topic(world: Any) -> None:
    first = world.run(COPY)[0]
    assert first["commandStatus"]["queryId"] == "CSAS_COPY_3"
    assert first["commandSequenceNumber"] == 4
    second = world.run("INSERT INTO copy SELECT * FROM s EMIT CHANGES;")[0]
    assert second == {
        "@type": "currentStatus",
        "statementText": "INSERT INTO copy SELECT * FROM s EMIT CHANGES;",
        "commandId": "stream/`COPY`/create",
        "commandStatus": {
            "status": "SUCCESS",
            "message": "Created query with ID INSERTQUERY_5",
            "queryId": "INSERTQUERY_5",
        },
        "commandSequenceNumber": 6,
        "warnings": [],
    }


def test_terminating_does_not_count(world: Any) -> None:
    world.run(COPY)
    ended = world.run("TERMINATE CSAS_COPY_3;")[0]
    assert ended["commandId"] == "terminate/CSAS_COPY_3/execute"
    assert ended["commandStatus"] == {"status": "SUCCESS", "message": "Query terminated.", "queryId": None}
    assert ended["commandSequenceNumber"] == 6
    assert world.queries.plans == {}
    assert world.topics.forgotten_groups[-1] == "_confluent-ksql-fraud_query_CSAS_COPY_3, later"
    again = world.run("INSERT INTO copy SELECT * FROM s EMIT CHANGES;")[0]
    assert again["commandStatus"]["queryId"] == "INSERTQUERY_5"
    assert again["commandSequenceNumber"] == 8
    # A new query starts from nothing.
    assert world.topics.forgotten_groups[-1] == "_confluent-ksql-fraud_query_INSERTQUERY_5"


def test_drop(world: Any) -> None:
    world.run(COPY)
    dropped = world.run("DROP STREAM copy;")[0]
    assert dropped["commandId"] == "stream/COPY/drop"
    assert dropped["commandStatus"]["message"] == "Source `COPY` (topic: copy) was dropped."
    assert world.queries.plans == {}  # its own query ends with it
    assert "copy" in world.topics.topics
    assert world.run("DROP STREAM s;")[0]["commandStatus"]["status"] == "SUCCESS"


def test_drop_with_its_topic(world: Any) -> None:
    world.run(COPY)
    dropped = world.run("DROP STREAM IF EXISTS copy DELETE TOPIC;")[0]
    assert dropped["statementText"] == "DROP STREAM IF EXISTS COPY;"
    assert "copy" not in world.topics.topics


def test_drop_of_what_is_not_there(world: Any) -> None:
    assert failure(world, "DROP STREAM x;").message == "Stream X does not exist."
    dropped = world.run("DROP STREAM IF EXISTS x;")[0]
    assert dropped["commandStatus"]["message"] == "Source `X` does not exist."


def test_drop_is_refused_while_an_insert_writes(world: Any) -> None:
    world.run(COPY)
    world.run("INSERT INTO copy SELECT * FROM s EMIT CHANGES;")
    assert failure(world, "DROP STREAM copy;").message == (
        "Cannot drop COPY.\nThe following queries read from this source: [].\n"
        "The following queries write into this source: [INSERTQUERY_5].\n"
        "You need to terminate them before dropping COPY."
    )
    world.run("TERMINATE INSERTQUERY_5;")
    world.run("DROP STREAM copy;")


def test_terminate_all(world: Any) -> None:
    world.run(COPY)
    world.run("INSERT INTO copy SELECT * FROM s EMIT CHANGES;")
    assert world.run("TERMINATE ALL;")[0]["commandId"] == "terminate/ALL/execute"
    assert world.queries.plans == {}
    assert world.run("SHOW QUERIES;")[0]["queries"] == []


def test_describe(world: Any) -> None:
    world.run(COPY)
    description = world.run("DESCRIBE s;")[0]["sourceDescription"]
    assert description["sourceConstraints"] == ["COPY"]
    assert [query["id"] for query in description["readQueries"]] == ["CSAS_COPY_3"]
    assert description["writeQueries"] == []
    assert description["fields"][0] == {
        "name": "K",
        "schema": {"type": "STRING", "fields": None, "memberSchema": None},
        "type": "KEY",
    }
    assert (description["partitions"], description["replication"]) == (6, 1)
    log = world.run("DESCRIBE ksql_processing_log;")[0]["sourceDescription"]
    message = log["fields"][3]["schema"]["fields"]
    assert [field["name"] for field in message][:2] == ["TYPE", "DESERIALIZATIONERROR"]
    error = failure(world, "DESCRIBE x;")
    assert error.message == "Could not find STREAM/TABLE 'X' in the Metastore"


# topics


def test_partitions_come_from_the_topic_that_is_read(world: Any) -> None:
    world.topics.topics["t"] = Topic("t", 4, 1, 1000)
    text = world.run("CREATE STREAM o AS SELECT * FROM s;")[0]["statementText"]
    assert text == (
        "CREATE STREAM O WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='O', PARTITIONS=4, REPLICAS=1, RETENTION_MS=1000)"
        " AS SELECT *\nFROM S S\nEMIT CHANGES;"
    )
    assert world.topics.topics["O"] == Topic("O", 4, 1, 1000)


def test_create_stream_makes_its_topic_when_it_knows_the_partitions(world: Any) -> None:
    world.run("CREATE STREAM x (a VARCHAR) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON', PARTITIONS=2);")
    assert world.topics.topics["x"].partitions == 2


def test_a_topic_that_does_not_fit_is_refused(world: Any) -> None:
    world.topics.topics["small"] = Topic("small", 1, 1, 604800000)
    error = failure(world, "CREATE STREAM o WITH (KAFKA_TOPIC='small') AS SELECT * FROM s;")
    assert (error.status, error.code) == (500, 50000)
    assert "KSQL expects 6 partitions (topic has 1)" in error.message


# whole requests


def test_a_request_fails_as_a_whole(world: Any) -> None:
    error = failure(world, f"{COPY} SHOW STREAMS; CREATE STREAM y AS SELECT nosuch FROM copy;")
    assert isinstance(error, StatementError)
    assert error.entities == []
    assert world.queries.plans == {}
    assert "COPY" not in [stream["name"] for stream in world.run("SHOW STREAMS;")[0]["streams"]]
    assert "copy" not in world.topics.topics


def test_a_statement_sees_the_ones_before_it(world: Any) -> None:
    answers = world.run(f"{COPY} CREATE STREAM two AS SELECT * FROM copy; SHOW QUERIES;")
    assert [a["commandStatus"]["queryId"] for a in answers[:2]] == ["CSAS_COPY_3", "CSAS_TWO_5"]
    assert len(answers[2]["queries"]) == 2


def test_offsets_start_where_the_request_says(world: Any) -> None:
    world.run(COPY, **{"auto.offset.reset": "earliest"})
    world.run("CREATE STREAM two AS SELECT * FROM s;")
    assert [reset for _, _, reset in world.queries.plans.values()] == ["earliest", "latest"]


# restart


def test_a_restart_brings_everything_back(world: Any) -> None:
    world.run(COPY, **{"auto.offset.reset": "earliest"})
    world.run("INSERT INTO copy SELECT * FROM s EMIT CHANGES;")
    world.run("CREATE STREAM gone AS SELECT * FROM s;")
    world.run("TERMINATE CSAS_GONE_7; DROP STREAM gone;")

    def everything() -> Any:
        running = {
            query_id: (plan.schema, topic, reset) for query_id, (plan, topic, reset) in world.queries.plans.items()
        }
        return running, world.run("SHOW STREAMS; SHOW QUERIES; DESCRIBE copy;")

    before = everything()
    world.restart()
    assert everything() == before
    assert world.run("CREATE STREAM three AS SELECT * FROM s;")[0]["commandStatus"]["queryId"] == "CSAS_THREE_13"


def test_a_restart_writes_nothing(world: Any) -> None:
    commands = list(world.commands.commands)
    world.restart()
    assert world.commands.commands == commands


# refusals


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "CREATE STREAM x (a VARCHAR, a INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');",
            "Failed to prepare statement: Duplicate column names: `A`",
        ),
        (
            "CREATE STREAM x (a VARCHAR) WITH (VALUE_FORMAT='JSON');",
            'Failed to prepare statement: Missing required property "KAFKA_TOPIC" which has no default value.',
        ),
        (
            "CREATE STREAM x (a VARCHAR) WITH (KAFKA_TOPIC='t');",
            "Statement is missing the 'VALUE_FORMAT' property from the WITH clause. Either provide one or set a default "
            "via the 'ksql.persistence.default.format.value' config.",
        ),
        (
            "CREATE STREAM x (a VARCHAR) WITH (KAFKA_TOPIC='t', FOO=1);",
            "Failed to prepare statement: Invalid config variable(s) in the WITH clause: FOO",
        ),
        (
            "CREATE STREAM x (a VARCHAR KEY, b VARCHAR KEY) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');",
            "Key format does not support schema.\nformat: KAFKA\n"
            "schema: Persistence{columns=[`A` STRING KEY, `B` STRING KEY], features=[]}\n"
            "reason: The 'KAFKA' format only supports a single field. Got: [`A` STRING KEY, `B` STRING KEY]",
        ),
        (
            "CREATE STREAM x (a BOOLEAN KEY, b VARCHAR) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');",
            "Key format does not support schema.\nformat: KAFKA\n"
            "schema: Persistence{columns=[`A` BOOLEAN KEY], features=[]}\n"
            "reason: The 'KAFKA' format does not support type 'BOOLEAN'",
        ),
        (
            "CREATE STREAM x (rowtime BIGINT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');",
            "'ROWTIME' is a reserved column name. You cannot use it as a name for a column.",
        ),
        (
            "CREATE STREAM x (a VARCHAR) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO');",
            "VALUE_FORMAT AVRO is not in the local stand-in: it has JSON",
        ),
        ("SELECT * FROM x EMIT CHANGES;", None),
        ("INSERT INTO x SELECT * FROM s;", "Exception while preparing statement: X does not exist."),
        (
            "CREATE STREAM x AS SELECT r.a FROM s;",
            "Exception while preparing statement: 'R' is not a valid stream/table name or alias.",
        ),
    ],
)
def test_refusals(world: Any, text: str, message: str | None) -> None:
    error = failure(world, text)
    assert error.status == 400
    if message is not None:
        assert error.message == message


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (
            "a FROM s",
            "Key missing from projection (ie, SELECT). \nThe query used to build `X` must include the key column K in "
            "its projection (eg, SELECT K...).",
        ),
        (
            "k FROM s PARTITION BY a",
            "Key missing from projection (ie, SELECT). \nThe query used to build `X` must include the partitioning "
            "expression S.A in its projection (eg, SELECT S.A...).",
        ),
        ("k FROM s", "The projection contains no value columns."),
        (
            "k, k AS j, a FROM s",
            "The projection contains a key column (`K`) more than once, aliased as: J and K.\nEach key column must "
            "only be in the projection once. If you intended to copy the key into the value, then consider using the "
            "AS_VALUE function to indicate which key reference should be copied.",
        ),
        ("k, a AS b, n AS b FROM s", "Duplicate value columns found in schema: `B` STRING"),
        ("k, a AS k FROM s", "Value columns clash with key columns: `K`"),
        ("k, a FROM s WHERE nosuch = 1", "Line: 1, Col: 45: WHERE column 'NOSUCH' cannot be resolved."),
        ("k, a FROM s PARTITION BY nosuch", "Line: 1, Col: 52: PARTITION BY column 'NOSUCH' cannot be resolved."),
        (
            "k, a FROM s WHERE a",
            "Type error in WHERE expression: Should evaluate to boolean but is A (STRING) instead.",
        ),
        ("k, a FROM s WHERE a = 1", "Error in WHERE expression: Cannot compare A (STRING) to 1 (INTEGER) with EQUAL."),
        (
            "k, a FROM s WHERE a = NULL",
            "Error in WHERE expression: Comparison with NULL not supported: STRING = NULL\n"
            "Use 'IS NULL' or 'IS NOT NULL' instead.",
        ),
        ("k, a->b FROM s", "Expected STRUCT type, got: STRING"),
    ],
)
def test_queries_that_cannot_be_planned(world: Any, select: str, message: str) -> None:
    error = failure(world, f"CREATE STREAM x AS SELECT {select};")
    assert error.message == f"Could not determine output schema for query due to error: {message}"
    assert error.code == 40001


def test_an_existing_name_is_refused(world: Any) -> None:
    world.run(COPY)
    assert failure(world, COPY).message == (
        "Could not determine output schema for query due to error: "
        "Cannot add stream 'COPY': A stream with the same name already exists"
    )


def test_insert_widens_numbers_and_nothing_else(world: Any) -> None:
    world.run(
        "CREATE STREAM wide (k VARCHAR KEY, a VARCHAR, n BIGINT, d DOUBLE) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');"
    )
    world.run("INSERT INTO wide SELECT k, a, n, n AS d FROM s;")
    assert "Incompatible schema" in failure(world, "INSERT INTO s SELECT * FROM wide;").message
    assert "Incompatible schema" in failure(world, "INSERT INTO wide SELECT k, a, n FROM s;").message


def test_select_star_partitioned_by_a_field(world: Any) -> None:
    world.run(
        "CREATE STREAM p (id INT KEY, address STRUCT<town VARCHAR>, age INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');"
    )
    world.run("CREATE STREAM o AS SELECT * FROM p PARTITION BY address->town;")
    fields = world.run("DESCRIBE o;")[0]["sourceDescription"]["fields"]
    assert [(field["name"], field.get("type")) for field in fields] == [
        ("TOWN", "KEY"),
        ("ADDRESS", None),
        ("AGE", None),
        ("ID", None),
    ]


def test_partition_by_null(world: Any) -> None:
    world.run("CREATE STREAM o AS SELECT a FROM s PARTITION BY NULL;")
    assert [f["name"] for f in world.run("DESCRIBE o;")[0]["sourceDescription"]["fields"]] == ["A"]


# push queries


def test_push_query_plans(world: Any) -> None:
    query, plan = world.engine.push_query("SELECT *, n FROM s AS x WHERE n > 1 EMIT CHANGES LIMIT 3;")
    assert query.limit == 3
    assert [p.column.name for p in plan.values] == ["K", "A", "N", "D", "N"]
    assert plan.key is None


@pytest.mark.parametrize(
    "text", ["SHOW STREAMS;", "", "SELECT * FROM s;", "SELECT * FROM s", "SELECT x FROM s EMIT CHANGES;"]
)
def test_what_is_no_push_query(world: Any, text: str) -> None:
    with pytest.raises(StatementError):
        world.engine.push_query(text)
