"""The Compose files, as Compose itself reads them: every combination resolves, and no service lacks what it must have."""

import itertools
import json
import os
import re
import shutil
import subprocess
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.jars import read_list
from local.settings import ROOT
from local.user_settings import JAVA_AGENT, SAMPLING

FILES = (ROOT / "docker-compose.yml", ROOT / "simulators" / "docker-compose.yml")
CLUSTER = (FILES[0], ROOT / "docker-compose.cluster.yml", FILES[1])
CLOUD = {
    "MONGODB_URI": "mongodb+srv://me:secret@cluster/",
    "S3_ENDPOINT": "",
    "ARCHIVE_INTERVAL_SECONDS": "30",
    "MY_AWS_ACCESS_KEY_ID": "key",
    "MY_AWS_SECRET_ACCESS_KEY": "secret",
    "MY_AWS_REGION": "eu-west-1",
}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY")
NO_PROXY = dict.fromkeys((*PROXIES, *map(str.lower, PROXIES)), "")
LOCAL = {"MONGODB_PASSWORD": "m", "S3_PASSWORD": "s", "GRAFANA_PASSWORD": "g"}
# The third party's own: its tags are not known to this repository. Pin them by digest in .env.
NOT_OURS_TO_PIN = ("sgg10/multi-bank-system:latest", "sgg10/fraud-validator-api:latest")
# Nothing is known of what these images carry.
THIRD_PARTY = ("fraud-validator-api", "multi-bank-system")
# The programs of images that are not built here which a health check may use.
PROGRAMS = {
    "apache/kafka:": {"bash"},
    "confluentinc/cp-ksqldb-server:": {"bash"},
    "mongo:": {"bash"},
    "prom/prometheus:": {"wget"},
    "grafana/grafana:": {"wget"},
    "jaegertracing/jaeger:": {"wget"},
}
# Images that run as an unprivileged user by themselves.
UNPRIVILEGED = ("apache/kafka:", "confluentinc/cp-ksqldb-server:", "sgg10/")


def resolve(
    compose: Path, files: tuple[Path, ...], profiles: tuple[str, ...], variables: dict[str, str]
) -> dict[str, Any]:
    """`docker compose config`, which must have nothing to warn of."""
    arguments = [argument for file in files for argument in ("--file", str(file))]
    arguments += [argument for profile in profiles for argument in ("--profile", profile)]
    answer = subprocess.run(
        [str(compose), "--env-file", "/dev/null", *arguments, "config", "--format", "json"],
        check=False,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables},
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    return json.loads(answer.stdout)


@pytest.fixture(scope="module", params=[FILES, CLUSTER], ids=["one", "cluster"])
def services(compose: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Every service with the simulators, both local stores, the monitoring and tracing; of one broker, and of three."""
    return resolve(compose, request.param, ("mongodb", "s3", "monitoring", "tracing"), LOCAL)["services"]


@pytest.fixture(scope="module")
def third_party(compose: Path) -> dict[str, Any]:
    """The same with the third party's images."""
    return resolve(compose, FILES[:1], ("mongodb", "s3"), LOCAL)["services"]


def test_no_service_has_the_proxy_of_dockers_own_settings(services: dict[str, Any]) -> None:
    """Compose gives that to every container that has not got these, and a health check would ask it for 127.0.0.1."""
    for name, service in services.items():
        assert NO_PROXY.items() <= service["environment"].items(), name


PROFILES = [(), ("mongodb",), ("s3",), ("mongodb", "s3"), ("mongodb", "s3", "monitoring"), ("mongodb", "s3", "tracing")]


@pytest.mark.parametrize(
    ("files", "profiles", "variables"),
    list(itertools.product((FILES[:1], FILES, CLUSTER), PROFILES, ({}, LOCAL, CLOUD))),
)
def test_every_combination_resolves(
    compose: Path, files: tuple[Path, ...], profiles: tuple[str, ...], variables: dict[str, str]
) -> None:
    names = set(resolve(compose, files, profiles, variables)["services"])
    assert ("mongodb" in names) == ("mongodb" in profiles)
    assert ("s3" in names) == ("s3" in profiles)
    assert "init-s3" in names  # it checks AWS's bucket as well
    assert ({"prometheus", "grafana"} <= names) == ("monitoring" in profiles)
    assert ({"jaeger", "init-opentelemetry"} <= names) == ("tracing" in profiles)


def test_cloud_targets_reach_the_worker(compose: Path) -> None:
    services = resolve(compose, FILES, (), CLOUD)["services"]
    worker = services["kafka-connect"]["environment"]
    assert worker["MONGODB_URI"] == CLOUD["MONGODB_URI"]
    assert services["init-kconnect"]["environment"]["S3_ENDPOINT"] == ""
    assert worker["AWS_REGION"] == "eu-west-1"
    assert worker["OFFSET_FLUSH_INTERVAL_MS"] == "30000"
    local = resolve(compose, FILES, ("mongodb", "s3"), LOCAL)["services"]["kafka-connect"]["environment"]
    assert local["MONGODB_URI"] == "mongodb://local:m@mongodb:27017/?authSource=admin&journal=true"
    assert local["S3_ENDPOINT"] == "http://s3:7070"
    assert local["OFFSET_FLUSH_INTERVAL_MS"] == "5000"


def test_the_connectors_names_can_be_filled_in(services: dict[str, Any]) -> None:
    """The ids of topics, which are in the names of S3 objects, come from the broker."""
    environment = services["init-kconnect"]["environment"]
    assert environment["KAFKA_BOOTSTRAP_SERVER"] == services["kafka-connect"]["environment"]["KAFKA_BOOTSTRAP_SERVER"]


def one_shot(service: dict[str, Any]) -> bool:
    return service["restart"] == "no"


@cache
def dockerfile(path: Path) -> str:
    return path.read_text()


def dockerfile_of(service: dict[str, Any]) -> str:
    """The one of an image of this repository, also of one that another service builds; empty for others."""
    name = re.match(r"fraud-detection/(init|kafka-connect):", service["image"])
    build = service.get("build") or ({"context": ROOT, "dockerfile": f"{name[1]}/Dockerfile"} if name else None)
    return dockerfile(Path(build["context"]) / build.get("dockerfile", "Dockerfile")) if build else ""


def test_every_image_is_pinned(services: dict[str, Any], third_party: dict[str, Any]) -> None:
    for service in (*services.values(), *third_party.values()):
        image = service["image"]
        assert image in NOT_OURS_TO_PIN or re.search(r"(:v?\d[\w.-]*|@sha256:[0-9a-f]{64})$", image), image
        for base in re.findall(r"^FROM (\S+)", dockerfile_of(service), re.M):
            assert ":" in base or "$" in base or base == "plugins", base


def test_each_image_is_built_by_one_service(services: dict[str, Any]) -> None:
    """Docker 29 fails when two builds name the same image at a time."""
    ours = [service["image"] for service in services.values() if service["image"].startswith("fraud-detection/")]
    assert sorted(service["image"] for service in services.values() if "build" in service) == sorted(set(ours))


def test_what_mongodb_has_acknowledged_is_in_its_journal(compose: Path) -> None:
    environment = resolve(compose, FILES, (), LOCAL)["services"]["kafka-connect"]["environment"]
    assert environment["MONGODB_URI"] == "mongodb://local:m@mongodb:27017/?authSource=admin&journal=true"


def test_every_port_is_on_loopback(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_every_service_is_watched_and_bounded(services: dict[str, Any], third_party: dict[str, Any]) -> None:
    for name, service in (*services.items(), *third_party.items()):
        assert service["restart"] in ("no", "unless-stopped"), name
        assert int(service["mem_limit"]) > 0, name
        assert service["logging"]["options"]["max-size"], name
        if not one_shot(service) and not service["image"].startswith("sgg10/"):
            assert service.get("healthcheck", {}).get("test") or "HEALTHCHECK" in dockerfile_of(service), name


def test_health_checks_use_what_the_image_is_known_to_have(third_party: dict[str, Any]) -> None:
    for name, service in third_party.items():
        if "build" in service or "healthcheck" not in service:
            continue
        how, program, *_ = service["healthcheck"]["test"]
        assert how == "CMD", name
        known = next((known for image, known in PROGRAMS.items() if service["image"].startswith(image)), set())
        assert program in known or service["image"].startswith("fraud-detection/"), name


def test_third_party_services(compose: Path, third_party: dict[str, Any]) -> None:
    """Their health is asked from outside, before anything that needs them starts."""
    for name in THIRD_PARTY:
        assert third_party[name]["image"].startswith("sgg10/")
        assert "healthcheck" not in third_party[name]
        assert int(third_party[name]["mem_limit"]) == 512 * 1024**2
        smaller = resolve(compose, FILES[:1], (), {"THIRD_PARTY_MEMORY": "300m"})["services"][name]
        assert int(smaller["mem_limit"]) == 300 * 1024**2
    processor = third_party["unidentified-transactions-processor"]
    assert processor["depends_on"]["wait-for-validator"]["condition"] == "service_completed_successfully"
    asked = {
        service["environment"]["FRAUD_VALIDATOR_URL"]
        for service in third_party.values()
        if "FRAUD_VALIDATOR_URL" in (service.get("environment") or {})
    }
    assert asked == {"http://fraud-validator-api:8000"}
    bank = third_party["multi-bank-system"]
    assert bank["container_name"] == "multi-bank-system"
    assert bank["environment"] == NO_PROXY | {
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:29092",
        "KAFKA_TOPIC": "bank-transactions",
        "KAFKA_GROUP_ID": "bank-transactions-group",
        "KAFKA_CLIENT_ID": "bank-transactions-client",
    }


def test_every_jvm_ends_when_its_memory_is_used_up(services: dict[str, Any]) -> None:
    """One that lives on without answering is not restarted."""
    options = {
        name: value
        for name, service in services.items()
        for variable, value in (service.get("environment") or {}).items()
        if variable.endswith("_HEAP_OPTS")
    }
    assert {re.sub(r"-\d$", "", name) for name in options} == {"kafka", "kafka-connect", "ksqldb-server"}
    for name, value in options.items():
        assert "-XX:+ExitOnOutOfMemoryError" in value.split(), name


TRACED = {"multi-bank-system", "transactions-ingestor", "unidentified-transactions-processor"}
TRACED_JAVA = {"kafka-connect", "ksqldb-server"}
COLLECTOR = "http://jaeger:4318"


@pytest.mark.parametrize("collector", ["", COLLECTOR])
def test_what_is_traced(compose: Path, collector: str) -> None:
    """With a collector alone, and the Java services by the agent, which is in place before they start."""
    variables = {**LOCAL, "OTEL_EXPORTER_OTLP_ENDPOINT": collector}
    profiles = ("mongodb", "s3", *(["tracing"] if collector else []))
    services = resolve(compose, FILES, profiles, variables)["services"]
    told = {name: service.get("environment") or {} for name, service in services.items()}
    assert {name for name, own in told.items() if "OTEL_EXPORTER_OTLP_ENDPOINT" in own} == TRACED | TRACED_JAVA
    for name in TRACED | TRACED_JAVA:
        assert told[name]["OTEL_EXPORTER_OTLP_ENDPOINT"] == collector
    for name in TRACED:
        assert SAMPLING.items() <= told[name].items()
    for name in TRACED_JAVA:
        (options,) = (value for variable, value in told[name].items() if variable.endswith("_HEAP_OPTS"))
        agents = re.findall(r"-javaagent:(\S+)", options)
        assert agents == (["/opentelemetry/opentelemetry-javaagent.jar"] if collector else [])
        assert {**JAVA_AGENT, "OTEL_SERVICE_NAME": name}.items() <= told[name].items()
        (volume,) = (one for one in services[name]["volumes"] if one["type"] == "volume")
        assert (volume["source"], volume["target"], volume["read_only"]) == ("opentelemetry", "/opentelemetry", True)
        awaited = services[name]["depends_on"]["init-opentelemetry"]
        assert awaited == {"condition": "service_completed_successfully", "required": False}
    if collector:
        (volume,) = services["init-opentelemetry"]["volumes"]
        assert (volume["source"], volume["target"]) == ("opentelemetry", "/opentelemetry")


def test_the_agent_is_that_of_the_local_mode(services: dict[str, Any]) -> None:
    """Its name and checksum are in one place."""
    text = dockerfile_of(services["init-opentelemetry"])
    assert "COPY local/jars/opentelemetry-agent.txt ." in text
    assert "sha256sum --check" in text
    assert len(read_list("opentelemetry-agent")) == 1


def test_names_tell_what_runs_once(services: dict[str, Any]) -> None:
    """`--status` goes by them: a service that has ended is a fault, what runs once has to end."""
    for name, service in services.items():
        assert one_shot(service) == bool(re.match("(init|wait-for)-", name)), name


def test_one_shots_are_waited_for(services: dict[str, Any]) -> None:
    awaited = {
        name
        for service in services.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert {name for name, service in services.items() if one_shot(service)} - awaited <= {
        "init-ksqldb",
        "init-kconnect",
    }


def test_dependencies_are_by_condition(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if one_shot(services[needed]) else "service_healthy"
            if name == "wait-for-validator":
                expected = "service_started"
            assert how["condition"] == expected, (name, needed)


def test_services_have_no_privileges(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        unprivileged = service.get("user") or re.search(r"^USER (?!root|0)", dockerfile_of(service), re.M)
        image_does = service["image"].startswith(UNPRIVILEGED) or name.startswith("kafka-connect")
        init_image = service["image"].startswith("fraud-detection/init:")
        assert unprivileged or image_does or init_image, name
        if "build" in service and not name.startswith("kafka-connect"):
            assert service["read_only"], name


def test_every_variable_is_in_the_example_with_its_default() -> None:
    example = dict(re.findall(r"^#?([A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.M))
    for file in CLUSTER:
        text = file.read_text()
        assert set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", text)) <= {*example, "COMPOSE_PROJECT_NAME"}
        for name, default in re.findall(r"(?<!\$)\$\{([A-Z0-9_]+):?-([^${}]+)\}", text):
            if not name.startswith("MY_"):  # an account of one's own has no default
                assert example[name] == default, name


def test_container_names_of_the_readme(services: dict[str, Any]) -> None:
    assert services["kafka"]["container_name"] == "kafka"
    assert services["ksqldb-server"]["container_name"] == "ksqldb-server"


def test_the_readme_shows_commands_as_they_are_typed() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in (
        "docker-compose logs transactions-ingestor -f",
        "docker exec -it kafka /bin/bash",
        "kafka-console-consumer --bootstrap-server localhost:9092 --topic users --from-beginning",
        "docker exec -it ksqldb-server ksql http://ksqldb-server:8088",
        "curl -s http://localhost:8083/connectors/mongodb-transactions/status",
    ):
        assert f"\n{command}\n" in readme, command
    for other in ("/opt/kafka/bin", "docker compose logs transactions-ingestor", "ksql http://localhost"):
        assert other not in readme, other


def test_init_ksqldb_sees_the_files_as_they_are_now(services: dict[str, Any]) -> None:
    """Of an image it would see them as they were at its build, and a change would be ignored."""
    (mount,) = services["init-ksqldb"]["volumes"]
    assert (Path(mount["source"]), mount["target"]) == (ROOT / "ksqldb", "/app/ksqldb")
    assert "WORKDIR /app\n" in dockerfile_of(services["init-ksqldb"])


def test_ksqldb_logs_with_our_file(services: dict[str, Any]) -> None:
    """Which keeps records out of the container's output: tests/integration/test_ksqldb_log4j.py."""
    server = services["ksqldb-server"]
    (mount,) = (one for one in server["volumes"] if one["type"] == "bind")
    assert Path(mount["source"]) == ROOT / "ksqldb" / "log4j2.yaml"
    assert server["environment"]["KSQL_LOG4J_OPTS"] == f"-Dlog4j2.configurationFile=file:{mount['target']}"
    text = (ROOT / "ksqldb" / "log4j2.yaml").read_text()
    assert set(re.findall(r"\$\{env:(\w+)}", text)) <= server["environment"].keys()
    settings = yaml.safe_load(text)["Configuration"]
    (processing,) = (one for one in settings["Loggers"]["Logger"] if one["name"] == "processing")
    assert processing["additivity"] is False
    assert [one["ref"] for one in processing["AppenderRef"]] == [settings["Appenders"]["Kafka"]["name"]]
    topic = server["environment"]["KSQL_LOG4J_PROCESSING_LOG_TOPIC"]
    assert topic == f"{server['environment']['KSQL_KSQL_SERVICE_ID']}ksql_processing_log"


@pytest.mark.parametrize(("status", "word", "healthy"), [(200, "RUNNING", True), (503, "STARTING", False)])
def test_ksqldb_s_health_check_needs_bash_alone(
    services: dict[str, Any], status: int, word: str, healthy: bool
) -> None:
    class Info(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(f'{{"KsqlServerInfo":{{"path":"{self.path}","serverStatus":"{word}"}}}}'.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    kind, bash, *arguments = services["ksqldb-server"]["healthcheck"]["test"]
    assert (kind, bash) == ("CMD", "bash")
    arguments = [argument.replace("$$", "$") for argument in arguments]

    def check(port: int) -> int:
        command = [shutil.which("bash") or "", *(argument.replace("8088", str(port)) for argument in arguments)]
        return subprocess.run(command, check=False, env={"PATH": "/nonexistent"}, timeout=5).returncode

    with ThreadingHTTPServer(("127.0.0.1", 0), Info) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        assert (check(server.server_port) == 0) == healthy
        server.shutdown()
    assert check(server.server_port) != 0


def test_prometheus_finds_every_replica(services: dict[str, Any]) -> None:
    """At the port that the image's service listens on, for other containers too."""
    jobs = yaml.safe_load((ROOT / "monitoring" / "prometheus.yml").read_text())["scrape_configs"]
    found = {job["job_name"]: discovery for job in jobs for discovery in job.get("dns_sd_configs", [])}
    assert set(found) == {"transactions-ingestor", "unidentified-transactions-processor"}
    for name, discovery in found.items():
        assert discovery["names"] == [name]
        image = dockerfile_of(services[name])
        assert f"METRICS_PORT={discovery['port']}\n" in image
        assert "METRICS_HOST=0.0.0.0 " in image
        assert "ports" not in services[name]
    (console,) = (job for job in jobs if job["job_name"] == "console")
    assert console["static_configs"] == [{"targets": [f"console:{services['console']['ports'][0]['target']}"]}]


def test_mounted_files_are_there(services: dict[str, Any]) -> None:
    mounts = [mount for service in services.values() for mount in service.get("volumes", []) if mount["type"] == "bind"]
    assert mounts
    for mount in mounts:
        assert Path(mount["source"]).exists(), mount
        assert mount["read_only"], mount
        assert mount["bind"]["selinux"] == "z", mount  # without, an engine with SELinux lets no container read them
    # Of these, and of what images copy for a user of their own, init/compose.sh checks that those can read them.
    (checked,) = re.findall(r"read=\((.*?)\)", (ROOT / "init" / "compose.sh").read_text(), re.DOTALL)
    lines = "\n".join(path.read_text() for path in ROOT.glob("**/Dockerfile") if "tests" not in path.parts)
    copied = set(
        re.findall(r"^COPY (?!--)(?!.*(?:requirements.txt|pom.xml|opentelemetry-agent.txt))(\S+)", lines, re.MULTILINE)
    )
    used = copied | {Path(mount["source"]).relative_to(ROOT).parts[0] for mount in mounts}
    assert {one if one in checked.split() else one.split("/")[0] for one in used} == set(checked.split())
