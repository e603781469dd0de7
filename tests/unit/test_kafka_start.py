"""kafka/start.sh: what it runs before a broker that was killed, with short scripts in place of the JVMs."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.settings import HOST, ROOT
from tests.support.stack import wait_until

ACTIVE = "echo 'Handling controller activation'"
ENDED = "echo 'Fencing broker 1 at epoch 7 because its session has timed out.'"
FOR_EVER = "exec sleep 600"
BROKER = "echo 'the broker runs'"


@contextmanager
def another_broker() -> Iterator[str]:
    with socket.create_server((HOST, 0)) as server:
        yield f"{HOST}:{server.getsockname()[1]}"


def closed_port() -> str:
    with another_broker() as address:
        return address


def quick(folder: Path) -> dict[str, str]:
    """An environment where the script's tenths of a second are thousandths."""
    sleep = folder / "bin" / "sleep"
    sleep.parent.mkdir()
    sleep.write_text('#!/bin/sh\nPATH=${PATH#*:}\n[ "$1" = 0.1 ] && set -- 0.001\nexec sleep "$1"\n')
    sleep.chmod(0o755)
    return {**os.environ, "PATH": f"{sleep.parent}:{os.environ['PATH']}"}


def command(data: Path, controller: str, others: str = "") -> list[str]:
    script = str(ROOT / "kafka" / "start.sh")
    return ["bash", script, str(data), others, "bash", "-c", controller, "--", "bash", "-c", BROKER]


def start(
    data: Path, controller: str, others: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    run = command(data, controller, others)
    return subprocess.run(run, check=False, capture_output=True, text=True, timeout=600, env=environment)


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The data of a broker that was killed."""
    data = tmp_path / "data"
    (data / "__consumer_offsets-0").mkdir(parents=True)
    (data / "meta.properties").write_text("#\ncluster.id=c\nnode.id=1\nversion=1\n")
    return data


def ran(data: Path) -> str:
    """A controller that leaves a trace."""
    return f"echo $$ > '{data}/controller'; "


def assert_gone(data: Path) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(int((data / "controller").read_text()), 0)


def test_the_session_of_a_killed_broker_is_ended_first(killed: Path) -> None:
    started = start(killed, ran(killed) + f"{ACTIVE}; {ENDED}; {FOR_EVER}", closed_port())
    assert (started.returncode, started.stdout, started.stderr) == (0, "the broker runs\n", "")
    assert_gone(killed)


def test_another_broker_s_session_is_not_its_own(killed: Path) -> None:
    both = f"{ACTIVE}; {ENDED.replace('broker 1', 'broker 11')}; sleep 1; echo there > '{killed}/said'; {ENDED}"
    start(killed, f"{both}; {FOR_EVER}")
    assert (killed / "said").exists()


def test_there_may_be_no_session_to_end(killed: Path, tmp_path: Path) -> None:
    started = start(killed, ran(killed) + f"{ACTIVE}; {FOR_EVER}", environment=quick(tmp_path))
    assert (started.returncode, started.stdout, started.stderr) == (0, "the broker runs\n", "")
    assert_gone(killed)


def test_a_slow_controller_is_waited_for(killed: Path, tmp_path: Path) -> None:
    """As on a machine where it takes half a minute to start."""
    rounds = f"until [ $((n += 1)) -gt 300 ]; do sleep 0.1; done; {ACTIVE}; {ENDED}; echo there > '{killed}/said'"
    started = start(killed, ran(killed) + f"{rounds}; {FOR_EVER}", environment=quick(tmp_path))
    assert (started.returncode, started.stdout, started.stderr) == (0, "the broker runs\n", "")
    assert (killed / "said").exists()


def test_a_controller_that_never_gets_active_is_not_passed_over_in_silence(killed: Path, tmp_path: Path) -> None:
    started = start(killed, ran(killed) + f"echo 'no quorum'; {FOR_EVER}", environment=quick(tmp_path))
    assert (started.returncode, started.stdout) == (0, "the broker runs\n")
    assert "no quorum" in started.stderr
    assert "may be processed again" in started.stderr
    assert_gone(killed)


def test_a_controller_that_fails_is_tried_again_by_whoever_restarts_the_broker(killed: Path) -> None:
    temporary = killed.parent / "temporary"
    temporary.mkdir()
    started = start(killed, "echo 'the lock is held'; exit 3", environment={**os.environ, "TMPDIR": str(temporary)})
    assert (started.returncode, started.stdout) == (1, "")
    assert "the lock is held" in started.stderr
    assert "ended by itself" in started.stderr
    assert not list(temporary.iterdir())


def test_a_controller_that_does_not_end_is_killed(killed: Path) -> None:
    hangs = f"trap '' TERM; {ran(killed)} {ACTIVE}; {ENDED}; while :; do sleep 0.2; done"
    started = start(killed, hangs)
    assert (started.returncode, started.stdout) == (0, "the broker runs\n")
    assert_gone(killed)


def test_no_controller_is_needed_beside_another_broker(killed: Path) -> None:
    with another_broker() as address:
        started = start(killed, ran(killed) + FOR_EVER, f"{closed_port()} {address}")
    assert (started.returncode, started.stdout, started.stderr) == (0, "the broker runs\n", "")
    assert not (killed / "controller").exists()


def test_a_controller_ends_when_another_broker_comes(killed: Path) -> None:
    """It was not the active one."""
    port = int(closed_port().rpartition(":")[2])
    code = f"import socket, time; server = socket.create_server(('{HOST}', {port})); time.sleep(600)"
    broker = f"{sys.executable} -c \"{code}\" & echo $! > '{killed}/other'; "
    started = start(killed, ran(killed) + broker + FOR_EVER, f"{HOST}:{port}")
    os.kill(int((killed / "other").read_text()), 9)
    assert (started.returncode, started.stdout, started.stderr) == (0, "the broker runs\n", "")
    assert_gone(killed)


@pytest.mark.parametrize("name", [".kafka_cleanshutdown", None])
def test_a_broker_that_was_not_killed_needs_no_controller(tmp_path: Path, name: str | None) -> None:
    """It was stopped, or it is new."""
    data = tmp_path / "data"
    data.mkdir()
    if name:
        (data / "__consumer_offsets-0").mkdir()
        (data / name).touch()
    started = start(data, ran(data) + FOR_EVER)
    assert (started.returncode, started.stdout, started.stderr) == (0, "the broker runs\n", "")
    assert not (data / "controller").exists()


def test_a_stop_ends_the_controller(killed: Path) -> None:
    process = subprocess.Popen(command(killed, ran(killed) + FOR_EVER), stdout=subprocess.PIPE, text=True)
    wait_until((killed / "controller").exists, 30, "the controller runs")
    process.terminate()
    assert process.communicate(timeout=30) == ("", None)
    assert process.returncode == 143
    assert_gone(killed)
