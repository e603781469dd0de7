"""The disk of the whole stack fills up while transactions flow: it is said, and with space again everything goes on by itself."""

import json
import time
from pathlib import Path

import psutil
import pytest

from contracts import topics
from tests.resilience.faults import BACK_SECONDS, down, part
from tests.support.expectation import SeededSet, delivered
from tests.support.settled import await_everything, ids, nothing_lost_nothing_repeated
from tests.support.small_disk import filled, small_disk
from tests.support.stack import running_stack, wait_until
from tests.support.topics import read_all
from tests.support.watcher import INGESTOR, KSQLDB, MONGODB, PROCESSOR, S3, Watcher

SLOW = SeededSet(count=0, rate=50)
FULL_SECONDS = 45
STAGES = (INGESTOR, KSQLDB, PROCESSOR, MONGODB, S3)


@pytest.mark.long
def test_a_full_disk_is_said_and_survived(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 700) as disk, running_stack(disk / "local", SLOW.environment) as stack:
        launcher = psutil.Process(json.loads(stack.settings.folders.state.read_text())["launcher"]["pid"])
        bank = part(stack, "multi-bank-system")["pid"]
        sentence = f"the disk of {disk / 'local'} is full"
        with Watcher(stack) as watcher:
            wait_until(lambda: all(watcher.wrote_after(stage, 0) for stage in STAGES), BACK_SECONDS, "everything flows")
            with filled(disk):
                answers = []

                def told() -> bool:
                    answers.append(stack.start_sh("--status"))
                    return answers[-1].returncode == 1 and sentence in " ".join(answers[-1].stdout.split())

                wait_until(told, BACK_SECONDS, f"--status says that {sentence}: {answers}")
                time.sleep(FULL_SECONDS)
            moment = time.monotonic()
            assert launcher.is_running()
            wait_until(
                lambda: all(watcher.wrote_after(stage, moment) for stage in STAGES), 2 * BACK_SECONDS, "all write again"
            )
            stack.await_healthy(seconds=BACK_SECONDS)
        log = (stack.settings.folders.logs / "launcher.log").read_text()
        assert f"{sentence}: " in log
        assert f"the disk of {disk / 'local'} has space again" in log
        assert "Traceback" not in log
        assert part(stack, "multi-bank-system")["pid"] == bank  # a bank that was started again would send its set again
        with down(stack, "multi-bank-system"):
            sent = ids(read_all(stack.kafka, topics.BANK_TRANSACTIONS))
            assert set(sent.values()) == {1}
            expected = delivered(SLOW, sent)
            await_everything(stack, expected, 120)
            nothing_lost_nothing_repeated(stack, expected)
