"""What statements do: ids, answers, refusals, and what is still there after a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local.ksqldb_emulator.commands import Command
from local.ksqldb_emulator.errors import KsqlError
from local.ksqldb_emulator.topics import Topic

SOURCE = "CREATE STREAM s (k VARCHAR KEY, a VARCHAR, n INTEGER, d DOUBLE) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');"
COPY = "CREATE STREAM copy WITH (KAFKA_TOPIC='copy') AS SELECT * FROM s EMIT CHANGES;"
TWO = "CREATE STREAM two AS SELECT * FROM s;"


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
    assert first == {
        "@type": "currentStatus",
        "statementText": COPY,
        "commandId": "stream/`COPY`/create",
        "commandStatus": {
            "status": "SUCCESS",
            "message": "Created query with ID CSAS_COPY_3",
            "queryId": "CSAS_COPY_3",
        },
        "commandSequenceNumber": 4,
        "warnings": [],
    }
    assert world.run(TWO)[0]["commandStatus"]["queryId"] == "CSAS_TWO_5"
    # A new query starts from nothing.
    assert world.topics.forgotten_groups[-1] == "_confluent-ksql-fraud_query_CSAS_TWO_5"


def test_terminating_does_not_count(world: Any) -> None:
    world.run(COPY)
    ended = world.run("TERMINATE CSAS_COPY_3;")[0]
    assert ended["commandId"] == "terminate/CSAS_COPY_3/execute"
    assert ended["commandStatus"] == {"status": "SUCCESS", "message": "Query terminated.", "queryId": None}
    assert ended["commandSequenceNumber"] == 6
    assert world.queries.plans == {}
    again = world.run(TWO)[0]
    assert again["commandStatus"]["queryId"] == "CSAS_TWO_5"
    assert again["commandSequenceNumber"] == 8


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
    world.run("DROP STREAM IF EXISTS copy DELETE TOPIC;")
    assert "copy" not in world.topics.topics


def test_drop_of_what_is_not_there(world: Any) -> None:
    assert failure(world, "DROP STREAM x;").message == "the stream X does not exist; there are KSQL_PROCESSING_LOG, S"
    dropped = world.run("DROP STREAM IF EXISTS x;")[0]
    assert dropped["commandStatus"]["message"] == "Source `X` does not exist."


def test_drop_is_refused_while_another_stream_reads(world: Any) -> None:
    world.run(COPY)
    assert failure(world, "DROP STREAM s;").message == "S is read by COPY: drop these first"
    world.run("DROP STREAM copy; DROP STREAM s;")


def test_terminate_all(world: Any) -> None:
    world.run(COPY)
    world.run(TWO)
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
    assert failure(world, "DESCRIBE x;").message.startswith("the stream X does not exist")


def test_show_topics(world: Any) -> None:
    assert world.run("SHOW TOPICS;")[0] == {
        "@type": "kafka_topics",
        "statementText": "SHOW TOPICS;",
        "topics": [
            {"name": "fraud_ksql_processing_log", "replicaInfo": [1] * 6},
            {"name": "t", "replicaInfo": [1] * 6},
        ],
        "warnings": [],
    }


# topics


def test_partitions_come_from_the_topic_that_is_read(world: Any) -> None:
    world.topics.topics["t"] = Topic("t", 4, 1, 1000)
    world.run("CREATE STREAM o AS SELECT * FROM s;")
    assert world.topics.topics["O"] == Topic("O", 4, 1, 1000)


def test_create_stream_makes_its_topic_when_it_knows_the_partitions(world: Any) -> None:
    world.run("CREATE STREAM x (a VARCHAR) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON', PARTITIONS=2);")
    assert world.topics.topics["x"].partitions == 2


def test_a_topic_that_does_not_fit_is_refused(world: Any) -> None:
    world.topics.topics["small"] = Topic("small", 1, 1, 604800000)
    error = failure(world, "CREATE STREAM o WITH (KAFKA_TOPIC='small') AS SELECT * FROM s;")
    assert (error.status, error.code) == (500, 50000)
    assert "has 1 partitions" in error.message
    assert "needs 6" in error.message


# whole requests


def test_a_request_ends_at_the_first_refusal(world: Any) -> None:
    error = failure(world, f"{COPY} SHOW NOTHING;")
    assert world.queries.plans == {}  # not even started: the text is read as a whole
    error = failure(world, f"{COPY} CREATE STREAM y AS SELECT nosuch FROM copy; {TWO}")
    assert [entity["commandId"] for entity in error.entities] == ["stream/`COPY`/create"]
    assert list(world.queries.plans) == ["CSAS_COPY_3"]


def test_a_statement_sees_the_ones_before_it(world: Any) -> None:
    answers = world.run(f"{COPY} CREATE STREAM two AS SELECT * FROM copy; SHOW QUERIES;")
    assert [a["commandStatus"]["queryId"] for a in answers[:2]] == ["CSAS_COPY_3", "CSAS_TWO_5"]
    assert len(answers[2]["queries"]) == 2


def test_offsets_start_where_the_request_says(world: Any) -> None:
    world.run(COPY, **{"auto.offset.reset": "earliest"})
    world.run("CREATE STREAM two AS SELECT * FROM s;")
    assert [reset for _, _, reset in world.queries.plans.values()] == ["earliest", "latest"]


@pytest.mark.parametrize("reset", ["garbage", "none", ["earliest"], 7])
def test_an_offset_that_no_consumer_takes_is_refused(world: Any, reset: object) -> None:
    with pytest.raises(KsqlError, match=r"auto\.offset\.reset"):
        world.run(COPY, **{"auto.offset.reset": reset})
    assert world.queries.plans == {}


# restart


def test_a_restart_brings_everything_back(world: Any) -> None:
    world.run(COPY, **{"auto.offset.reset": "earliest"})
    world.run(TWO)
    world.run("CREATE STREAM gone AS SELECT * FROM s;")
    world.run("TERMINATE `csas_gone_7`; DROP STREAM gone;")
    world.run("CREATE STREAM ended AS SELECT * FROM s;")
    world.run("TERMINATE `csas_ended_13`;")

    def everything() -> Any:
        running = {
            query_id: ([p.column for p in plan.values], topic, reset)
            for query_id, (plan, topic, reset) in world.queries.plans.items()
        }
        return running, world.run("SHOW STREAMS; SHOW QUERIES; DESCRIBE copy;")

    before = everything()
    world.restart()
    assert everything() == before
    assert world.run("CREATE STREAM three AS SELECT * FROM s;")[0]["commandStatus"]["queryId"] == "CSAS_THREE_15"


def test_a_statement_that_cannot_be_repeated_is_left_out(world: Any) -> None:
    world.commands.append("id", Command("INSERT INTO copy SELECT * FROM s;", "INSERTQUERY_5"))
    world.run(COPY)
    world.restart()
    assert list(world.queries.plans) == ["CSAS_COPY_3"]


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
            "the column A is there more than once",
        ),
        ("CREATE STREAM x (a VARCHAR) WITH (VALUE_FORMAT='JSON');", "the WITH clause has no KAFKA_TOPIC"),
        ("CREATE STREAM x (a VARCHAR) WITH (KAFKA_TOPIC='t');", "the WITH clause has no VALUE_FORMAT"),
        ("CREATE STREAM x (a VARCHAR) WITH (KAFKA_TOPIC='t', FOO=1);", "there is no property FOO"),
        ("CREATE STREAM x (a VARCHAR) WITH (KAFKA_TOPIC='t', TIMESTAMP='a');", "the property TIMESTAMP is ksqlDB's"),
        (
            "CREATE STREAM x (a VARCHAR) WITH (KAFKA_TOPIC='t', PARTITIONS='6');",
            "the property PARTITIONS cannot be '6'",
        ),
        (
            "CREATE STREAM x (a VARCHAR KEY, b VARCHAR KEY) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');",
            "a KAFKA key has one column",
        ),
        (
            "CREATE STREAM x (a BOOLEAN KEY, b VARCHAR) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');",
            "the key A of type BOOLEAN (the emulator's are VARCHAR) is ksqlDB's",
        ),
        (
            "CREATE STREAM x (rowtime BIGINT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');",
            "ROWTIME is a column of ksqlDB's own",
        ),
        (
            "CREATE STREAM x (a VARCHAR) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO');",
            "VALUE_FORMAT AVRO (the emulator's is JSON) is ksqlDB's",
        ),
        ("SELECT * FROM x EMIT CHANGES;", "SELECT and PRINT are asked of /query-stream or /query"),
        ("CREATE STREAM x AS SELECT a FROM nosuch;", "the stream NOSUCH does not exist"),
        ("CREATE STREAM x AS SELECT r.a FROM s;", "line 1:27: R is not the source of this query: S"),
        ("CREATE STREAM x AS SELECT k, ROWTIME FROM s;", "line 1:30: there is no column ROWTIME (ROWTIME is ksqlDB's"),
        ("CREATE STREAM x AS SELECT k, UCASE(a) FROM s;", "the function UCASE with 1 arguments is ksqlDB's"),
        ("CREATE STREAM x AS SELECT k, a FROM s LIMIT 3;", "LIMIT in a persistent query is ksqlDB's"),
        (SOURCE, "the stream S is there already"),
    ],
)
def test_refusals(world: Any, text: str, message: str) -> None:
    error = failure(world, text)
    assert error.status == 400
    assert error.message.startswith(message)


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("a FROM s", "the key has to be in the SELECT list once, not 0 times"),
        ("k FROM s PARTITION BY a", "the key has to be in the SELECT list once, not 0 times"),
        ("k, k AS j, a FROM s", "the key has to be in the SELECT list once, not 2 times"),
        ("k FROM s", "the SELECT list has no column but the key"),
        ("k, a AS b, n AS b FROM s", "the SELECT list has the column B more than once"),
        ("k, a AS k FROM s", "the SELECT list has the column K more than once"),
        ("k, a FROM s WHERE nosuch = 1", "line 1:45: there is no column NOSUCH; there are K, A, N, D"),
        ("k, a FROM s WHERE a", "WHERE has to be a BOOLEAN, not STRING"),
        ("k, a FROM s WHERE a = 1", "STRING = INTEGER cannot be compared"),
        ("k, a FROM s WHERE a = NULL", "a comparison with NULL is never true"),
        ("k, a->b FROM s", "there is no field B in STRING"),
        ("k, 'x' FROM s", "an item of the SELECT list has no name of its own"),
        ("k, d FROM s PARTITION BY d", "the key D of type DOUBLE"),
        ("k, d AS e FROM s WHERE NOT a", "AND, OR and NOT take comparisons"),
    ],
)
def test_queries_that_cannot_be_planned(world: Any, select: str, message: str) -> None:
    error = failure(world, f"CREATE STREAM x AS SELECT {select};")
    assert error.message.startswith(message)
    assert error.code == 40001


def test_select_star_partitioned_by_a_field(world: Any) -> None:
    world.run(
        "CREATE STREAM p (id VARCHAR KEY, address STRUCT<town VARCHAR>, age INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');"
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
    query, plan = world.engine.query("SELECT *, n FROM s AS x WHERE n > 1 EMIT CHANGES LIMIT 3;")
    assert query.limit == 3
    assert [p.column.name for p in plan.values] == ["K", "A", "N", "D", "N"]
    assert plan.key is None


def test_print_needs_a_topic(world: Any) -> None:
    assert world.engine.query("PRINT t FROM BEGINNING LIMIT 3;").topic == "t"
    with pytest.raises(KsqlError, match="the topic nosuch does not exist"):
        world.engine.query("PRINT 'nosuch';")


@pytest.mark.parametrize(
    "text", ["SHOW STREAMS;", "", "SELECT * FROM s;", "SELECT * FROM s", "SELECT x FROM s EMIT CHANGES;"]
)
def test_what_is_no_push_query(world: Any, text: str) -> None:
    with pytest.raises(KsqlError):
        world.engine.query(text)
