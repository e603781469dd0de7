"""The client of the fraud validator: calls run concurrently on an event loop of their own and never raise."""

import asyncio
import logging
from collections import deque
from concurrent.futures import Future
from datetime import timedelta
from queue import SimpleQueue
from threading import Thread
from time import monotonic, perf_counter
from typing import NamedTuple

import uvloop
from pydantic import ValidationError
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import RequestError, RequestTimeoutError

from contracts.dead_letters import reason_of
from contracts.models import ValidationAnswer
from processor import metrics
from runtime.errors import without_credentials

logger = logging.getLogger(__name__)

TRIES = 3
PAUSE_SECONDS = 0.2
# A transaction counts as refused after this many failed calls in a row, over this long, while the validator answered others. A
# restart of the validator is over by then. A validator that fails half of all requests at random still answers 7 of 8 calls, as
# each has three tries, so that good transactions do not get this far.
INSIST_CALLS = 15
INSIST_SECONDS = 30.0
INSIST_PAUSE_SECONDS = 1.0
INSIST_IN_FLIGHT = 64  # in addition to the calls that a checkpoint waits for, which these must not hold up
INSIST_LOG_SECONDS = 10.0
# What is longer is no answer.
ANSWER_BYTES = 4096
# The validator's final word on this transaction: asking again cannot change it. Any other error (a wrong address, a lost key, a
# proxy's own) would hit every transaction alike, and all of them would be dead letters by the time it is fixed.
_REFUSALS = (400, 413, 422)


class Verdict(NamedTuple):
    """The validator's answer."""

    fraudulent: bool


class Refusal(NamedTuple):
    """The validator will not judge this transaction (HTTP 400, 413 or 422), or has been `given_up`: it cannot."""

    reason: str
    given_up: bool = False


class Outage(NamedTuple):
    """No usable answer after every try: the validator is down or overloaded, or its responses are malformed."""

    reason: str


Outcome = Verdict | Refusal | Outage

_SECONDS = {Verdict: metrics.VERDICT_SECONDS, Refusal: metrics.REFUSAL_SECONDS, Outage: metrics.OUTAGE_SECONDS}


class ValidatorClient:
    """Posts validation requests to the validator at `url` (a ValidatorUrl), at most `max_in_flight` at once.

    `submit` blocks while that many are open.
    """

    def __init__(self, url: str, max_in_flight: int, timeout: float) -> None:
        self._url = f"{url}/validate"
        self._shown = without_credentials(self._url)
        self._max_in_flight = max_in_flight
        # One token per free slot: a semaphore of `threading` does the same in pure Python, which costs more than what it guards.
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(max_in_flight):
            self._places.put(None)
        self._client = (
            ClientBuilder()
            .default_headers({"Content-Type": "application/json"})
            .timeout(timedelta(seconds=timeout))
            .follow_redirects(False)
            .no_proxy()
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)  # an answer is a few bytes; unpacked, one could be gigabytes
            .build()
        )
        self._submitted: deque[tuple[bytes, Future[Outcome]]] = deque()
        # The last request that got a verdict: sent again, it distinguishes a problem with one transaction from an outage.
        self._control: bytes | None = None
        self._insisting: set[asyncio.Task[None]] = set()
        self._insisting_now = asyncio.Semaphore(INSIST_IN_FLIGHT)
        self._logged_at = monotonic()
        self._closing = False
        self._woken = False
        self._loop = uvloop.new_event_loop()  # a fifth more calls/s than asyncio's own
        Thread(target=self._loop.run_forever, name="validator-client", daemon=True).start()

    def submit(self, body: bytes) -> "Future[Outcome]":
        """Start one call; `body` is a ValidationRequest as JSON. The future always gets an outcome, never an exception."""
        self._places.get()
        future: Future[Outcome] = Future()
        self._submitted.append((body, future))
        if not self._woken:  # waking the loop is a write to a pipe: one write is enough for all waiting calls
            self._woken = True
            self._loop.call_soon_threadsafe(self._start)
        return future

    def insist(self, body: bytes) -> "Future[Outcome]":
        """Ask in the background about a transaction whose call has failed, until there is an outcome other than an Outage.

        An outage is waited out, however long it takes. If the validator answers others all the while, the outcome is a Refusal.
        Cancel the future to ask no more.
        """
        future: Future[Outcome] = Future()

        def start() -> None:
            task = self._loop.create_task(self._insist(body, future))
            self._insisting.add(task)
            task.add_done_callback(self._insisting.discard)

        self._loop.call_soon_threadsafe(start)
        return future

    @property
    def in_flight(self) -> int:
        """The number of open calls, without those in the background."""
        return self._max_in_flight - self._places.qsize()

    def close(self) -> None:
        """Close the connections. No call may be open except those in the background, which end without an outcome."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _close(self) -> None:
        self._closing = True  # since the HTTP client can mistake the cancellation for a failed request
        for task in self._insisting:
            task.cancel()
        await asyncio.gather(*self._insisting, return_exceptions=True)
        await self._client.close()

    def _start(self) -> None:
        self._woken = False  # before the queue is emptied: a call that comes later wakes the loop again
        while self._submitted:
            body, future = self._submitted.popleft()
            self._loop.create_task(self._answer(body, future))

    async def _answer(self, body: bytes, future: "Future[Outcome]") -> None:
        future.set_result(await self._ask(body))
        self._places.put(None)

    async def _insist(self, body: bytes, future: "Future[Outcome]") -> None:
        started, calls = monotonic(), 1
        while True:
            if self._closing or future.cancelled():
                return
            await asyncio.sleep(INSIST_PAUSE_SECONDS)
            async with self._insisting_now:
                outcome = await self._ask(body)
                if not isinstance(outcome, Outage):
                    break
                calls += await self._answers_another()
            seconds = monotonic() - started
            if calls >= INSIST_CALLS and seconds >= INSIST_SECONDS:
                outcome = Refusal(
                    f"{outcome.reason}; no answer in {calls} calls over {seconds:.0f} s, while it answered others",
                    given_up=True,
                )
                break
            self._log(f"{outcome.reason}; {len(self._insisting)} transactions wait for an answer")
        if future.set_running_or_notify_cancel():
            future.set_result(outcome)

    async def _answers_another(self) -> bool:
        return self._control is not None and not isinstance(await self._ask(self._control), Outage)

    def _log(self, line: str) -> None:
        if monotonic() - self._logged_at >= INSIST_LOG_SECONDS:
            self._logged_at = monotonic()
            logger.warning("%s", line)

    async def _ask(self, body: bytes) -> Outcome:
        """One call, which may be several requests."""
        outcome: Outcome = Outage("not asked")
        try:
            for attempt in range(TRIES):
                if attempt:
                    await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
                started = perf_counter()
                outcome, again = await self._try(body)
                _SECONDS[type(outcome)].observe(perf_counter() - started)
                if not again:
                    break
        except Exception as error:
            logger.exception("call failed")
            outcome = Outage(f"{type(error).__name__} in the validator's client")
        if isinstance(outcome, Verdict):
            self._control = body
        return outcome

    async def _try(self, body: bytes) -> tuple[Outcome, bool]:
        """The outcome, and whether to ask again: not after a timeout, since three of them would take too long."""
        try:
            request = self._client.post(self._url).body_bytes(body).streamed_read_buffer_limit(2 * ANSWER_BYTES)
            async with request.build_streamed() as response:
                answer = await response.body_reader.read(ANSWER_BYTES)
            outcome = judge(response.status, answer.to_bytes() if answer else b"")
            return outcome, isinstance(outcome, Outage)
        except RequestError as error:
            return Outage(f"{type(error).__name__} from {self._shown}"), not isinstance(error, RequestTimeoutError)


def judge(status: int, body: bytes) -> Outcome:
    """The outcome that an HTTP response stands for."""
    if status == 200:
        try:
            return Verdict(ValidationAnswer.model_validate_json(body).is_fraudulent_transaction)
        except ValidationError as error:
            return Outage(f"the validator's response is malformed: {reason_of(error)}")
    if status in _REFUSALS:
        return Refusal(f"the validator refused the transaction with HTTP {status}")
    return Outage(f"the validator answered HTTP {status}")
