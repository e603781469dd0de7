"""ksqldb/log4j2.yaml in log4j2 itself: an entry of the processing log reaches its topic and not the console."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from local import jars
from local.jvm import JAVA
from local.settings import ROOT, cache_folder
from tests.support.topics import read_all

CONFIGURATION = ROOT / "ksqldb" / "log4j2.yaml"
SOURCES = ROOT / "tests" / "support" / "java"
TOPIC = "processing-log-of-log4j2"
SECRET = "078-05-1120"
SERVER = "-Dksql.server.install.dir=/usr"  # as ksql-server-start has it


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The class path of Kafka's jars, log4j2 among them, and of a program that logs as the server does."""
    cache, folder = cache_folder(), tmp_path_factory.mktemp("classes")
    kafka, compiler = jars.read_list("kafka"), jars.read_list(SOURCES / "compiler")
    jars.fetch([*kafka, *compiler], cache, lambda done, wanted: None)
    class_path = os.pathsep.join(str(jars.path_of(jar, cache)) for jar in kafka)
    compile_it = [str(JAVA), "-jar", str(jars.path_of(compiler[0], cache)), "-source", "17", "-nowarn"]
    compiled = subprocess.run(
        [*compile_it, "-classpath", class_path, "-d", str(folder), str(SOURCES)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert compiled.returncode == 0, compiled.stderr
    return os.pathsep.join((str(folder), class_path))


def log(classes: str, bootstrap: str, configuration: Path, *options: str, **environment: str) -> str:
    """Log one entry and one line, and return what came out of the process."""
    done = subprocess.run(
        [str(JAVA), f"-Dlog4j2.configurationFile=file:{configuration}", *options, "-cp", classes,
         "emulator.ProcessingLog", SECRET],
        check=False,
        env={
            "KSQL_LOG4J_PROCESSING_LOG_BROKERLIST": bootstrap,
            "KSQL_LOG4J_PROCESSING_LOG_TOPIC": TOPIC,
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def topic(kafka_bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    if TOPIC not in admin.list_topics(timeout=10).topics:
        admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(10)


def entries(bootstrap: str) -> list[str]:
    return [json.loads(record.value or b"null") for record in read_all(bootstrap, TOPIC)]


def test_an_entry_is_on_its_topic_alone(classes: str, kafka_bootstrap: str, topic: None) -> None:
    before = len(entries(kafka_bootstrap))
    output = log(classes, kafka_bootstrap, CONFIGURATION, SERVER)
    assert entries(kafka_bootstrap)[before:] == [SECRET]
    assert "Server up and running (io.confluent.ksql.rest.server.KsqlServerMain)" in output
    assert SECRET not in output
    assert "a request" not in output
    assert "ERROR" not in output  # log4j2's own: an element or a property that it does not know


def test_with_additivity_it_would_be_in_the_output(
    classes: str, kafka_bootstrap: str, topic: None, tmp_path: Path
) -> None:
    """As in the image's own file: this is what the test above has to see."""
    text = CONFIGURATION.read_text()
    line = "        additivity: false # personal data: to its topic and nowhere else\n"
    assert line in text
    (tmp_path / "log4j2.yaml").write_text(text.replace(line, ""))
    assert SECRET in log(classes, kafka_bootstrap, tmp_path / "log4j2.yaml", SERVER)


def test_the_appender_has_the_server_s_settings_for_a_secured_cluster(classes: str) -> None:
    secured = {"KSQL_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KSQL_SASL_MECHANISM": "PLAIN"}
    with pytest.raises(AssertionError, match=r"No LoginModule found for no\.such\.Module"):
        log(classes, "127.0.0.1:9", CONFIGURATION, **secured, KSQL_SASL_JAAS_CONFIG="no.such.Module required;")


def test_the_prompt_in_the_server_s_container_is_not_disturbed(classes: str, kafka_bootstrap: str, topic: None) -> None:
    assert log(classes, kafka_bootstrap, CONFIGURATION) == ""
