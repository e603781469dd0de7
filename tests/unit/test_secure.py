"""Who may do what on a secured broker, and how each service gets in there."""

import datetime
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation, ResourceType
from cryptography import x509

from contracts import topics
from init import replay_dlq
from local import broker, certificates, plan, rights, secure
from local.rights import RIGHTS, bindings
from local.settings import ROOT, Folders, MongoTarget, Ports, S3Target, Settings
from runtime import services
from runtime.kafka import SECURITY

CLIENTS = {service.name for service in services.SERVICES if services.KAFKA in service.needs}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    s3 = S3Target("http://localhost:9000", "key", "secret", "us-east-1", "bucket", "prefix")
    folders = Folders(tmp_path / "local", tmp_path / "cache")
    mongodb = MongoTarget("mongodb://localhost", embedded=True)
    made = Settings(Ports(), folders, mongodb, s3, kafka_brokers=3, kafka_secure=True)
    secure.prepare(folders)
    return made


def writes(user: str) -> set[str]:
    return {
        one.name for one in bindings(user) if one.restype is ResourceType.TOPIC and one.operation is AclOperation.WRITE
    }


def test_every_service_that_needs_kafka_has_a_user() -> None:
    assert CLIENTS - RIGHTS.keys() - {services.WATCHDOG} == set()


def test_each_service_writes_what_it_makes_and_nothing_else() -> None:
    rows = set(services.ROWS)
    assert writes(services.BANK) == {topics.BANK_TRANSACTIONS}
    assert writes(services.INGESTOR).isdisjoint(rows)
    for user, reads in ((one.name, one.reads) for one in services.SERVICES if one.name in RIGHTS):
        assert writes(user).isdisjoint(reads), user
    for topic in services.ROWS:
        assert {user for user in RIGHTS if topic in writes(user)} == {services.PROCESSOR, services.KSQLDB, rights.TOOLS}


def test_somebody_writes_every_topic_and_its_readers_may_read_it() -> None:
    for topic in topics.CREATED:
        assert any(topic in writes(user) for user in RIGHTS), topic
    for service in services.SERVICES:
        for topic in service.reads:
            may = {one.operation for one in bindings(service.name) if one.name == topic}
            assert AclOperation.READ in may, (service.name, topic)


def test_nobody_may_do_everything() -> None:
    for user in RIGHTS:
        assert all(one.operation not in (AclOperation.ALL, AclOperation.ALTER) for one in bindings(user))
        assert all(one.restype is not ResourceType.BROKER for one in bindings(user)), "no right on the cluster"
        assert len(list(bindings(user))) == len(set(bindings(user))), "Kafka's client refuses what is there twice"


def test_who_has_no_service_of_its_own_has_the_rights_for_its_group() -> None:
    assert rights.REPLAY == replay_dlq.NAME
    for group, file in {
        rights.PUSH_QUERIES: "local/ksqldb_emulator/push.py",
        rights.TOPIC_READERS: "console/console/topic.py",
    }.items():
        assert f'reader("{group}", ' in (ROOT / file).read_text()


def test_each_client_gets_in_as_itself(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """And by a password that no other has."""
    monkeypatch.setattr(broker, "commands", lambda settings: [[] for _ in settings.brokers])
    monkeypatch.setattr(plan.connect, "command", lambda *_: [])
    monkeypatch.setattr(plan, "class_path", lambda *_: "")
    monkeypatch.setattr(plan, "_s3_command", lambda _: [])
    users, passwords = {}, {}
    for program in plan.programs(settings):
        if any(name.startswith("KAFKA_BOOTSTRAP_SERVER") for name in program.environment):
            assert program.environment.keys() >= SECURITY.keys(), program.name
            users[program.name] = program.environment["KAFKA_SASL_USERNAME"]
            passwords[users[program.name]] = program.environment["KAFKA_SASL_PASSWORD"]
    steps = {"init_users": secure.BROKERS, "init_kafka": rights.INIT, "init_kconnect": rights.INIT}
    assert users == {name: steps.get(name, name) for name in users}
    assert users.keys() >= CLIENTS - {services.WATCHDOG}
    assert len(set(passwords.values())) == len(passwords)


def test_a_plain_stack_has_no_user(settings: Settings) -> None:
    plain = replace(settings, kafka_secure=False)
    assert secure.kafka_environment(plain, services.BANK) == {"KAFKA_BOOTSTRAP_SERVER": plain.bootstrap}
    assert "SASL" not in broker.properties(plain, plain.brokers[0])


def test_passwords_and_the_certificate_stay_what_they_are(settings: Settings) -> None:
    folder = settings.folders.run / "secure"
    before = {file: file.read_bytes() for file in folder.iterdir()}
    secure.prepare(settings.folders)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    secret = [file for file in before if file.name != secure.CERTIFICATE]
    assert {oct(file.stat().st_mode & 0o777) for file in secret} == {oct(0o600)}


@pytest.mark.parametrize("days", [-3, certificates.DAYS - 1], ids=["a clock was ahead", "it ends soon"])
def test_a_certificate_that_is_not_valid_for_long_is_made_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    file = settings.folders.run / "secure" / secure.CERTIFICATE
    before, now = file.read_bytes(), certificates._now() + datetime.timedelta(days=days)
    monkeypatch.setattr(certificates, "_now", lambda: now)
    secure.prepare(settings.folders)
    assert file.read_bytes() != before
    made = x509.load_pem_x509_certificate(file.read_bytes())
    assert made.not_valid_before_utc < now < made.not_valid_after_utc - datetime.timedelta(days=certificates.RENEW_DAYS)


def test_a_broken_file_of_passwords_is_made_again(settings: Settings) -> None:
    file = settings.folders.run / "secure" / "passwords.json"
    for text in ("", "{}", '{"tools": ""}', "[]"):
        file.write_text(text)
        secure.prepare(settings.folders)
        assert secure.password(settings.folders, rights.TOOLS)
