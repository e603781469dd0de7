"""What nothing moves any more is said: a store that refuses everything while its sink looks healthy."""

import json

import pytest

from runtime import services
from tests.support.settled import objects
from tests.support.stack import Stack, wait_until

SECONDS = 120


@pytest.mark.long
def test_a_bucket_that_is_gone_is_a_fault_until_it_is_back(stack: Stack) -> None:
    def status() -> tuple[int, list[str]]:
        answer = stack.start_sh("--status", "--json")
        return answer.returncode, json.loads(answer.stdout)["faults"]

    wait_until(lambda: status() == (0, []), SECONDS, "nothing is wrong")
    bucket = stack.settings.folders.data / "s3" / stack.settings.s3.bucket
    away = bucket.with_name("moved-away")
    bucket.rename(away)
    try:
        fault = f"group {services.ARCHIVER} has "

        def said() -> bool:
            code, faults = status()
            return code == 1 and any(
                one.startswith(fault) and "committed nothing in one partition for" in one for one in faults
            )

        wait_until(said, SECONDS, "the archiver's group stands still")
    finally:
        away.rename(bucket)
    wait_until(lambda: status() == (0, []), SECONDS, "nothing is wrong any more")
    assert objects(stack, services.ROWS[0])
