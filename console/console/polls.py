"""Asks the parts that speak HTTP. Each function answers within a few seconds and raises only httpx.HTTPError and ValueError."""

import asyncio
import socket
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx
from prometheus_client.parser import text_string_to_metric_families

from console.state import Connector, Part, Query, Task

ANSWER_SECONDS = 2.0
VALIDATOR_CALLS = "processor_validator_request_duration_seconds"


def client() -> httpx.AsyncClient:
    """One for all calls; nothing of the environment (a proxy, say) comes between it and the parts."""
    return httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False)


def problem_of(error: Exception) -> str:
    """What a person wants to know of a call that failed, in a few words."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    return "does not answer" if isinstance(error, httpx.TransportError) else f"odd answer ({type(error).__name__})"


async def answers(http: httpx.AsyncClient, url: str) -> Part:
    """Whether GET answers with success."""
    try:
        (await http.get(url)).raise_for_status()
        return Part(True)
    except httpx.HTTPError as error:
        return Part(False, problem_of(error))


async def connectors(http: httpx.AsyncClient, url: str) -> dict[str, Connector]:
    """Every connector with its tasks and topics."""
    answer = await http.get(f"{url}/connectors", params=[("expand", "status"), ("expand", "info")])
    answer.raise_for_status()
    found = {}
    for name, about in sorted(answer.json().items()):
        status, config = about["status"], about["info"]["config"]
        found[name] = Connector(
            status["connector"]["state"],
            tuple(Task(task["id"], task["state"]) for task in status["tasks"]),
            tuple(topic.strip() for topic in config.get("topics", "").split(",") if topic),
        )
    return found


async def plugins(http: httpx.AsyncClient, url: str) -> set[str]:
    """The classes of the connectors that the worker could run."""
    answer = await http.get(f"{url}/connector-plugins")
    answer.raise_for_status()
    return {plugin["class"] for plugin in answer.json()}


async def restart_connector(http: httpx.AsyncClient, url: str, name: str) -> None:
    """Restart a connector and all of its tasks."""
    answer = await http.post(f"{url}/connectors/{quote(name, safe='')}/restart", params={"includeTasks": "true"})
    answer.raise_for_status()


@dataclass(frozen=True)
class Ksqldb:
    """The server's name for itself, which its groups' names begin with, and its queries."""

    service_id: str
    queries: dict[str, Query]


async def ksqldb(http: httpx.AsyncClient, url: str) -> Ksqldb:
    """The server and its persistent queries."""
    info = await http.get(f"{url}/info")
    info.raise_for_status()
    answer = await http.post(f"{url}/ksql", json={"ksql": "SHOW QUERIES;"})
    answer.raise_for_status()
    queries = {
        query["id"]: Query(query["state"], ", ".join(query["sinkKafkaTopics"]), ", ".join(query["sinks"]))
        for query in answer.json()[0]["queries"]
        if query["queryType"] == "PERSISTENT"
    }
    return Ksqldb(info.json()["KsqlServerInfo"]["ksqlServiceId"], queries)


async def replicas(http: httpx.AsyncClient, url: str) -> tuple[Part, list[str]]:
    """The health of every replica behind a name, and the base URLs of those that are well."""
    parts = urlsplit(url)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            parts.hostname, parts.port or 80, family=socket.AF_INET, type=socket.SOCK_STREAM
        )
    except OSError:
        return Part(False, f"there is no {parts.hostname}"), []
    bases = [
        f"{parts.scheme}://{host}:{parts.port or 80}{parts.path}"
        for host in sorted({str(info[4][0]) for info in found})
    ]
    health = await asyncio.gather(*(answers(http, f"{base}/healthz") for base in bases))
    well = [base for base, part in zip(bases, health, strict=True) if part.up]
    problems = sorted({part.detail for part in health if not part.up})
    count = [f"{len(well)} of {len(bases)} replicas are well"] if len(bases) > 1 else []
    return Part(not problems, ", ".join([*count, *problems])), well


@dataclass(frozen=True)
class Calls:
    """A processor's calls to the validator so far: all of them by upper bound in seconds, and those without a usable answer."""

    buckets: dict[float, float]
    failed: float = 0.0


async def validator_calls(http: httpx.AsyncClient, base: str) -> Calls:
    """The processor's histogram of its calls to the validator, all outcomes together."""
    answer = await http.get(f"{base}/metrics")
    answer.raise_for_status()
    buckets: dict[float, float] = {}
    failed = 0.0
    for family in text_string_to_metric_families(answer.text):
        if family.name == VALIDATOR_CALLS:
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    bound = float(sample.labels["le"])
                    buckets[bound] = buckets.get(bound, 0.0) + sample.value
                elif sample.name.endswith("_count") and sample.labels.get("outcome") == "outage":
                    failed += sample.value
    return Calls(buckets, failed)
