"""A cluster of three brokers under load: one is killed, restarted or frozen, two are killed at once, and so is a Connect worker.

The loss of one broker is not noticed for longer than SILENCE_SECONDS by a read_committed reader of the results: in the median of
the three, since a busy machine may stop everything for a second, and never for longer than LIMIT_SECONDS. Both are seconds of a
usual machine; a slower one has as many times more. At the end nothing is lost and nothing is repeated. The drills are in order:
the last one looks at what all the others have left.
"""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from statistics import median

import psutil
import pytest
from confluent_kafka import ElectionType, KafkaException
from confluent_kafka.admin import AdminClient

from contracts import topics
from local.settings import HOST, Broker
from runtime.connect import Connect, Unavailable, states
from tests.resilience.faults import BACK_SECONDS, await_back, kill, nobody_restarts, process_of, terminate
from tests.resilience.test_drills import report
from tests.support.expectation import SeededSet, delivered
from tests.support.machine import slowness
from tests.support.settled import await_everything, ids, nothing_lost_nothing_repeated
from tests.support.stack import Stack, running_stack, wait_until
from tests.support.topics import read_all
from tests.support.watcher import INGESTOR, KSQLDB, MONGODB, PROCESSOR, RESULT, Watcher

pytestmark = pytest.mark.long
# The bank sends until the last drill stops it: about 20,000 transactions.
LOAD = SeededSet(count=0, rate=150)
BROKERS = ("kafka", "kafka-2", "kafka-3")
WORKERS = ("kafka-connect", "kafka-connect-2")
CONNECTORS = ("mongodb-transactions", "mongodb-users")
SILENCE_SECONDS = 3
# A service whose client hangs, and a client that waits as long as it does by default, are silent for longer.
LIMIT_SECONDS = 8
FROZEN_SECONDS = 20
# What was on its way when the brokers were killed has arrived, and the time in which nothing more may.
LAST_SECONDS, QUIET_SECONDS = 2, 5


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Three brokers while the bank sends LOAD."""
    environment = {**LOAD.environment, "KAFKA_BROKERS": "3"}
    with running_stack(tmp_path_factory.mktemp("stack") / "local", environment) as running:
        yield running


@pytest.fixture
def whole(stack: Stack) -> AdminClient:
    """The cluster once every broker has every record and leads what is its own: the loss of one has something to take."""
    return await_whole(stack)


def await_whole(stack: Stack) -> AdminClient:
    admin = AdminClient({"bootstrap.servers": stack.kafka, "log_level": 0})

    def in_sync() -> bool:
        try:
            partitions = [
                one for topic in admin.list_topics(timeout=5).topics.values() for one in topic.partitions.values()
            ]
        except KafkaException:
            return False
        return all(len(partition.isrs) == len(BROKERS) for partition in partitions)

    wait_until(in_sync, BACK_SECONDS, "all replicas are in sync")
    admin.elect_leaders(ElectionType.PREFERRED).result(10)
    return admin


def silence(stack: Stack, watcher: Watcher, moment: float) -> float:
    """The longest silence of the results since the moment, until the cluster is whole again and every stage has written."""
    await_whole(stack)
    over = time.monotonic()
    stages = (INGESTOR, KSQLDB, PROCESSOR)
    wait_until(lambda: all(watcher.wrote_after(stage, over) for stage in stages), BACK_SECONDS, "all stages write")
    return watcher.silence(RESULT, moment)


def assert_short(what: str, seconds: list[float]) -> None:
    times = slowness()
    report(f"{what}, on a machine {times:.1f} times as slow as usual", *seconds)
    assert median(seconds) <= SILENCE_SECONDS * times
    assert max(seconds) <= LIMIT_SECONDS * times


@pytest.mark.usefixtures("whole")
def test_kill_each_broker(stack: Stack, watcher: Watcher) -> None:
    """It is lost for longer than the others need: its new JVM would take the cores of this one machine from them."""
    seconds = []
    for name in BROKERS:
        with nobody_restarts(stack):
            moment = time.monotonic()
            pids = kill(stack, [name])
            time.sleep(SILENCE_SECONDS)
        await_back(stack, pids)
        seconds.append(silence(stack, watcher, moment))
    assert_short("kill -9 of each broker in turn, silence", seconds)


@pytest.mark.usefixtures("whole")
def test_rolling_restart(stack: Stack, watcher: Watcher) -> None:
    seconds = []
    for name in BROKERS:
        process = process_of(stack, name)
        moment = time.monotonic()
        terminate(process)
        await_back(stack, {name: process.pid})
        seconds.append(silence(stack, watcher, moment))
    assert_short("SIGTERM of each broker in turn, silence", seconds)


@pytest.mark.usefixtures("whole")
def test_one_broker_is_frozen(stack: Stack, watcher: Watcher) -> None:
    """It keeps its connections and answers nothing: a client notices after socket.timeout.ms, and then asks for the successor."""
    process = process_of(stack, BROKERS[1])
    moment = time.monotonic()
    process.suspend()
    try:
        time.sleep(FROZEN_SECONDS)
    finally:
        process.resume()
    seconds = silence(stack, watcher, moment)
    report(f"one broker frozen for {FROZEN_SECONDS} s, silence", seconds)
    assert seconds <= LIMIT_SECONDS * slowness()


@pytest.mark.usefixtures("whole")
def test_two_brokers_are_killed(stack: Stack, watcher: Watcher) -> None:
    """One alone takes no write, and two do: the third is kept down until all goes on without it."""
    _, second, third = stack.settings.brokers
    with ExitStack() as without_third:
        with nobody_restarts(stack):
            moment = time.monotonic()
            pids = kill(stack, [second.name, third.name])
            time.sleep(LAST_SECONDS)
            quiet_from = time.monotonic()
            time.sleep(QUIET_SECONDS)
            assert not any(watcher.wrote_after(stage, quiet_from) for stage in (INGESTOR, RESULT))
            without_third.enter_context(keep_down(third))
        await_back(stack, {second.name: pids[second.name]})
        back = time.monotonic()
        wait_until(lambda: watcher.wrote_after(RESULT, back), BACK_SECONDS, "two brokers are enough")
    report("two brokers killed, from there to the next result with one of them back", watcher.silence(RESULT, moment))
    await_back(stack, pids)
    silence(stack, watcher, moment)


@pytest.mark.usefixtures("whole")
def test_all_brokers_are_killed(stack: Stack, watcher: Watcher) -> None:
    """As by a machine that has lost its power: there is no other controller that could end their sessions."""
    moment = time.monotonic()
    await_back(stack, kill(stack, list(BROKERS)))
    report("all brokers killed at once, silence", silence(stack, watcher, moment))


@pytest.mark.usefixtures("whole")
def test_all_brokers_are_killed_and_come_one_after_another(stack: Stack, watcher: Watcher) -> None:
    """The controller that the first runs alone is no sign for the second that the sessions have been ended."""
    first, second, third = stack.settings.brokers
    with ExitStack() as third_down:
        with ExitStack() as second_down:
            with nobody_restarts(stack):
                moment = time.monotonic()
                pids = kill(stack, list(BROKERS))
                third_down.enter_context(keep_down(third))
                second_down.enter_context(keep_down(second))
            wait_until(lambda: runs_alone(stack, first), BACK_SECONDS, "the first broker's controller runs alone")
        wait_until(lambda: runs_alone(stack, second), BACK_SECONDS, "the second broker's controller runs alone")
    await_back(stack, pids)
    report("all brokers killed, one back after the other, silence", silence(stack, watcher, moment))


def runs_alone(stack: Stack, broker: Broker) -> bool:
    """Whether kafka/start.sh runs the broker's controller before it, which has its port."""
    file = str(stack.settings.folders.run / f"{broker.name}-controller.properties")
    with suppress(psutil.NoSuchProcess):
        return any(
            process.cmdline()[-1:] == [file]
            and broker.controller_port
            in {connection.laddr.port for connection in process.net_connections() if connection.laddr}
            for process in psutil.process_iter()
        )
    return False


def bound(taken: socket.socket, port: int) -> bool:
    with suppress(OSError):
        taken.bind((HOST, port))
        return True
    return False


@contextmanager
def keep_down(broker: Broker) -> Iterator[None]:
    """Its controller's port is taken, so that it ends as soon as it is started."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wait_until(lambda: bound(taken, broker.controller_port), BACK_SECONDS, f"{broker.name} is gone")
        taken.listen()
        yield


@pytest.mark.usefixtures("whole")
def test_a_connect_worker_is_killed(stack: Stack, watcher: Watcher) -> None:
    """Its tasks move to the other worker, which has them before the launcher would have it back."""
    ports = dict(zip(WORKERS, (stack.settings.ports.connect_port, stack.settings.ports.connect_2_port), strict=True))
    victim, survivor = WORKERS
    connect = Connect(f"http://{HOST}:{ports[survivor]}", seconds=5)

    def workers() -> set[str] | None:
        """Where the tasks run; None while not all of them do."""
        try:
            found = [states(connect.status(name))["task 0"] for name in CONNECTORS]
        except (Unavailable, LookupError):
            return None
        return {task["worker_id"] for task in found} if all(task["state"] == "RUNNING" for task in found) else None

    assert f"{HOST}:{ports[victim]}" in (workers() or ())
    process = process_of(stack, victim)
    with nobody_restarts(stack):
        moment = time.monotonic()
        psutil.Process(process.pid).kill()
        wait_until(
            lambda: workers() == {f"{HOST}:{ports[survivor]}"}, BACK_SECONDS, "the tasks run on the other worker"
        )
        moved = time.monotonic()
        wait_until(lambda: watcher.wrote_after(MONGODB, moved), BACK_SECONDS, "documents are written")
    report("kill -9 of a Connect worker, until its tasks run on the other", moved - moment)
    await_back(stack, {victim: process.pid})


def test_nothing_is_lost_and_nothing_is_repeated(stack: Stack, watcher: Watcher) -> None:
    """The bank delivers what it has made when it is told to end, and is not started again."""
    bank = process_of(stack, "multi-bank-system")
    with nobody_restarts(stack):
        terminate(bank)
        sent = ids(read_all(stack.kafka, topics.BANK_TRANSACTIONS))
        report(f"{sent.total():,} transactions, sent in", sent.total() / LOAD.rate)
        assert sent == Counter(message.key for message in islice(LOAD.messages(), sent.total()))
        expected = delivered(LOAD, sent)
        await_everything(stack, expected, 120)
        nothing_lost_nothing_repeated(stack, expected)
        for topic, seen in watcher.seen.items():
            assert seen == ids(read_all(stack.kafka, topic)), f"the concurrent reader of {topic} saw something else"
