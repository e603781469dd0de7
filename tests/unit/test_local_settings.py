"""The local mode's settings: all of them are checked at once, and a process gets no more of the environment than is its own."""

from pathlib import Path

import pytest

from local import plan
from local.environment import BASICS, basics
from local.settings import HOST, ROOT, load
from local.user_settings import JAVA_AGENT
from runtime.errors import UserError
from tests.support.environment import POISON


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_DIR", str(tmp_path))
    monkeypatch.setenv("no_proxy", "")  # load() sets it


WRONG = {
    "KAFKA_BROKERS": ("2", "must be 1 or 3"),
    "KAFKA_SECURE": ("maybe", "must be a valid boolean"),
    "KAFKA_PORT": ("high", "must be a valid integer"),
    "ARCHIVER_METRICS_PORT": ("65536", "must be less than or equal to 65535"),
    "TOPIC_PARTITIONS": ("0", "must be greater than or equal to 1"),
    "TOPIC_REPLICATION_FACTOR": ("3", "must be 1: the local stack has one broker"),
    "BANK_RATE": ("inf", "must be a finite number"),
    "BANK_COUNT": ("-1", "must be greater than or equal to 0"),
    "BANK_SEED": ("x", "must be a valid integer"),
    "BANK_CUSTOMERS": ("1", "must be greater than or equal to 2"),
    "BANK_FRAUDULENT_SHARE": ("1.1", "must be less than or equal to 1"),
    "BANK_POISON_SHARE": ("nan", "must be a finite number"),
    "VALIDATOR_LATENCY_MS": ("-1", "must be greater than or equal to 0"),
    "VALIDATOR_FRAUDULENT_SHARE": ("30 %", "must be a valid number"),
    "VALIDATOR_HANG": ("perhaps", "must be a valid boolean"),
    "VALIDATOR_REFUSED_IDS": ("a,b", "must be a valid set"),
    "FRAUD_VALIDATOR_MAX_IN_FLIGHT": ("0", "must be greater than or equal to 1"),
    "FRAUD_VALIDATOR_TIMEOUT": ("1e300", "must be less than or equal to 9"),
    "ARCHIVE_INTERVAL_SECONDS": ("0", "must be greater than or equal to 1"),
    "S3_BUCKET": ("My_Bucket", "must be a bucket's name"),
    "S3_PREFIX": ("/{{topic}}", "must be a folder's name"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("jaeger", "must be a valid URL"),
    "OTEL_TRACES_SAMPLER": ("always", "must be 'parentbased_always_on'"),
    "OTEL_TRACES_SAMPLER_ARG": ("2", "must be less than or equal to 1"),
    "MY_AWS_REGION": ("Frankfurt", "must be a region's name"),
}


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (value, _) in WRONG.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CONNECT_PORT", "8088")
    monkeypatch.setenv("MY_MONGODB_USER", "me")
    monkeypatch.setenv("MY_AWS_SECRET_ACCESS_KEY", "not for logs")
    with pytest.raises(UserError) as raised:
        load()
    first, *lines = str(raised.value).splitlines()
    assert first == "settings that cannot be used:"
    said = {line.split("=")[0].strip(): line.strip() for line in lines if "=" in line}
    for name, (value, must) in WRONG.items():
        assert said[name].startswith(f"{name}={value!r} {must}"), name
    rest = "\n".join(line.strip() for line in lines if "=" not in line)
    assert "MY_AWS_SECRET_ACCESS_KEY must be a secret key, without spaces" in rest
    assert "CONNECT_PORT and KSQLDB_PORT are both 8088: give each its own port" in rest
    assert "MY_MONGODB_PASS, MY_MONGODB_CLUSTER not set, while MY_MONGODB_USER is" in rest
    assert "MY_AWS_ACCESS_KEY_ID not set, while MY_AWS_SECRET_ACCESS_KEY, MY_AWS_REGION is" in rest
    assert "not for logs" not in str(raised.value)
    assert len(lines) == len(WRONG) + 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", WRONG)
def test_one_wrong_setting_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, must = WRONG[name]
    monkeypatch.setenv(name, value)
    if name.startswith("MY_AWS_"):
        for other in ("MY_AWS_ACCESS_KEY_ID", "MY_AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(other, "x")
    with pytest.raises(UserError) as raised:
        load()
    assert str(raised.value).startswith(f"{name}={value!r} {must}")
    assert "\n" not in str(raised.value)


def test_three_services_on_one_port_are_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PORT", "8080")
    monkeypatch.setenv("S3_PORT", "8080")
    with pytest.raises(UserError, match=r"^KAFKA_PORT and S3_PORT and CONSOLE_PORT are both 8080"):
        load()


def test_a_password_with_a_dollar_is_taken_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHON_DOTENV_DISABLED", raising=False)
    (tmp_path / ".env").write_text(
        "\ufeffMY_MONGODB_USER=me\nMY_MONGODB_PASS='p${HOME}'\nMY_MONGODB_CLUSTER=cluster0.ab1cd\n"
    )
    (tmp_path / "init").symlink_to(ROOT / "init")
    monkeypatch.setattr("local.settings.ROOT", tmp_path)
    for name in ("MY_MONGODB_USER", "MY_MONGODB_PASS", "MY_MONGODB_CLUSTER"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    assert load().mongodb.uri.startswith("mongodb+srv://me:p%24%7BHOME%7D@cluster0.ab1cd.mongodb.net/")


def programs(monkeypatch: pytest.MonkeyPatch) -> dict[str, plan.Program]:
    """Those of a start, but without a jar."""
    monkeypatch.setattr(plan.broker, "commands", lambda settings: [["java"] for _ in settings.brokers])
    monkeypatch.setattr(plan.connect, "command", lambda *_: ["java"])
    return {program.name: program for program in plan.programs(load())}


def test_no_process_gets_what_the_shell_has_for_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    without = programs(monkeypatch)
    for name, value in POISON.items():
        monkeypatch.setenv(name, value)
    poisoned = programs(monkeypatch)
    assert {name: program.environment for name, program in poisoned.items()} == {
        name: program.environment for name, program in without.items()
    }


def test_every_process_has_the_basics_and_its_own_settings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("BANK_RATE", "7")
    monkeypatch.setenv("VALIDATOR_LATENCY_MS", "3")
    monkeypatch.setenv("FRAUD_VALIDATOR_TIMEOUT", "4")
    monkeypatch.setenv("TOPIC_PARTITIONS", "5")
    monkeypatch.setenv("ARCHIVE_INTERVAL_SECONDS", "6")
    found = programs(monkeypatch)
    owners = {
        "multi-bank-system": "BANK_RATE",
        "fraud-validator-api": "VALIDATOR_LATENCY_MS",
        "unidentified-transactions-processor": "FRAUD_VALIDATOR_TIMEOUT",
        "init_kafka": "TOPIC_PARTITIONS",
        "s3-archiver": "ARCHIVE_INTERVAL_SECONDS",
        "console": "ARCHIVE_INTERVAL_SECONDS",  # so long the archiver may go without a commit
    }
    for name, program in found.items():
        assert basics().items() <= program.environment.items()
        assert program.environment["LC_TIME"] == "C"
        assert {owners.get(name)} - {None} == set(owners.values()) & set(program.environment), name
    assert found["mongodb"].environment["MONGODB_HOST"] == HOST
    assert set(BASICS) & set(POISON) == set()


def test_a_collector_has_the_stack_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "another-program-s")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    assert not any(name.startswith("OTEL_") for one in programs(monkeypatch).values() for name in one.environment)
    assert "opentelemetry-javaagent" not in {jar.artifact for jar in plan.jars(load())}

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    told = {
        name: {key: value for key, value in one.environment.items() if key.startswith("OTEL_")}
        for name, one in programs(monkeypatch).items()
    }
    spans = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.5",
    }
    python = ("multi-bank-system", "transactions-ingestor", "unidentified-transactions-processor")
    assert {name: own for name, own in told.items() if own} == {
        **dict.fromkeys(python, spans),
        "kafka-connect": spans | JAVA_AGENT,
    }
    assert "opentelemetry-javaagent" in {jar.artifact for jar in plan.jars(load())}


def test_no_password_is_given_to_a_process_that_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MY_MONGODB_USER", "MY_MONGODB_PASS", "MY_AWS_ACCESS_KEY_ID", "MY_AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("MY_MONGODB_CLUSTER", "cluster0.ab1cd")
    monkeypatch.setenv("MY_AWS_REGION", "eu-west-1")
    holders = {name for name, program in programs(monkeypatch).items() if "hidden" in str(program.environment)}
    assert holders == {"kafka-connect", "init_mongodb", "init_s3", "s3-archiver"}
    assert not any(name.startswith("MY_") for program in programs(monkeypatch).values() for name in program.environment)
