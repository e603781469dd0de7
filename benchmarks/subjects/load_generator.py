"""The limit of the processor at no latency: the HTTP client alone. Prints calls/s."""

import asyncio
import itertools
import os
import sys
import time

import uvloop
from pyreqwest.client import ClientBuilder

from bank.generator import messages
from contracts.mapping import to_validation_request
from contracts.models import Transaction


async def main() -> None:
    """Ask FRAUD_VALIDATOR_URL for SECONDS with IN_FLIGHT calls open at once."""
    url, seconds = os.environ["FRAUD_VALIDATOR_URL"] + "/validate", float(os.environ["SECONDS"])
    in_flight = int(os.environ["IN_FLIGHT"])
    sample = itertools.islice(messages(1, 50, 0.0, 0.0), 1_000)
    bodies = itertools.cycle(
        to_validation_request(Transaction.from_json(message.value)).model_dump_json().encode() for message in sample
    )
    calls = 0
    headers = {"Content-Type": "application/json"}
    async with ClientBuilder().default_headers(headers).error_for_status().no_proxy().build() as client:

        async def ask() -> None:
            nonlocal calls
            while time.monotonic() < deadline:
                response = await client.post(url).body_bytes(next(bodies)).build().send()
                await response.bytes()
                calls += 1

        deadline = time.monotonic() + 0.5  # connections are made before the clock runs
        await asyncio.gather(*(ask() for _ in range(in_flight)))
        calls, started = 0, time.monotonic()
        deadline = started + seconds
        await asyncio.gather(*(ask() for _ in range(in_flight)))
        sys.stdout.write(f"{calls / (time.monotonic() - started)}\n")


if __name__ == "__main__":
    uvloop.run(main())
