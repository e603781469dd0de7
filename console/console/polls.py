"""Asks the services that speak HTTP. Each function takes a few seconds at most and raises only httpx.HTTPError and ValueError."""

import asyncio
import socket
from dataclasses import dataclass
from math import inf
from urllib.parse import urlsplit

import httpx
from prometheus_client.parser import text_string_to_metric_families

from console.state import Connector, Health, Query, Task
from runtime.connect import Connect, Refused, Unavailable, failed
from runtime.ksqldb import KsqlClient, KsqlError

ANSWER_SECONDS = 2.0
VALIDATOR_CALLS = "processor_validator_request_duration_seconds"


def problem_of(error: Exception) -> str:
    """What a person wants to know of a call that failed, in a few words."""
    if isinstance(error, Unavailable | Refused | KsqlError):
        return str(error)
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    return (
        "does not answer" if isinstance(error, httpx.TransportError) else f"malformed response ({type(error).__name__})"
    )


async def responds(http: httpx.AsyncClient, url: str, below: int = 500) -> Health:
    """Whether GET gets a status below `below`: a page that is missing or needs a login shows a service as well."""
    try:
        async with http.stream("GET", url) as response:  # the body, whose size nobody knows, is not read
            code = response.status_code
    except httpx.HTTPError as error:
        return Health(False, problem_of(error))
    return Health(code < below, "" if code < below else f"HTTP {code}")


def connectors(connect: Connect) -> dict[str, Connector]:
    """Every connector with its tasks and topics."""
    found = {}
    for name, about in sorted(connect.connectors().items()):
        status, config = about["status"], about["info"]["config"]
        errors = failed(status)
        found[name] = Connector(
            status["connector"]["state"],
            tuple(
                Task(task["id"], task["state"], errors.get(f"task {task['id']}", "").rpartition(".")[2].strip("?"))
                for task in status["tasks"]
            ),
            tuple(topic.strip() for topic in config.get("topics", "").split(",") if topic),
        )
    return found


def ksqldb(server: KsqlClient) -> tuple[str, dict[str, Query]]:
    """The server's name for itself, which its groups' names begin with, and its persistent queries."""
    queries = {
        query["id"]: Query(query["state"], ", ".join(query["sinkKafkaTopics"]), ", ".join(query["sinks"]))
        for query in server.queries()
    }
    return server.info()["ksqlServiceId"], queries


async def replicas(http: httpx.AsyncClient, url: str) -> tuple[Health, list[str]]:
    """The health of every replica behind a name, and the base URLs of those that are healthy."""
    address = urlsplit(url)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            address.hostname, address.port or 80, family=socket.AF_INET, type=socket.SOCK_STREAM
        )
    except OSError:
        return Health(False, f"there is no {address.hostname}"), []
    bases = [
        f"{address.scheme}://{host}:{address.port or 80}{address.path}"
        for host in sorted({str(info[4][0]) for info in found})
    ]
    health = await asyncio.gather(*(responds(http, f"{base}/healthz", 300) for base in bases))
    healthy = [base for base, service in zip(bases, health, strict=True) if service.up]
    problems = sorted({service.detail for service in health if not service.up})
    count = [f"{len(healthy)} of {len(bases)} replicas are healthy"] if len(bases) > 1 else []
    return Health(not problems, ", ".join([*count, *problems])), healthy


@dataclass(frozen=True)
class Calls:
    """A processor's calls to the validator so far: all of them by upper bound in seconds, and those without a usable answer."""

    buckets: dict[float, float]
    failed: float = 0.0

    @property
    def failed_share(self) -> float | None:
        """None without calls."""
        came = self.buckets.get(inf, 0.0)
        return self.failed / came if came else None

    def since(self, before: "Calls") -> "Calls":
        """Those that came after a reading; all of them when that was another process's, which had made more."""
        if any(self.buckets.get(bound, 0.0) < count for bound, count in before.buckets.items()):
            return self
        buckets = {bound: count - before.buckets.get(bound, 0.0) for bound, count in self.buckets.items()}
        return Calls(buckets, max(self.failed - before.failed, 0.0))

    def __add__(self, other: "Calls") -> "Calls":
        bounds = self.buckets.keys() | other.buckets.keys()
        buckets = {bound: self.buckets.get(bound, 0.0) + other.buckets.get(bound, 0.0) for bound in bounds}
        return Calls(buckets, self.failed + other.failed)


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
