"""What the launcher and the commands say and do when the disk is full."""

import errno
import json
import os
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from local import __main__ as commands
from local import launcher, state
from local.output import Output
from local.plan import Program
from local.settings import Folders, MongoTarget, Ports, S3Target, Settings
from local.supervisor import Phase
from runtime import disk
from runtime.errors import UserError
from tests.support.supervised import PYTHON, Running, part

Space = namedtuple("Space", "f_bavail f_frsize f_files f_favail")
PLENTY = Space(10**6, 4096, 10**6, 10**6)
NONE_LEFT = PLENTY._replace(f_bavail=100)
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def settings(folder: Path) -> Settings:
    return Settings(
        Ports(), Folders(folder, folder), MongoTarget("", embedded=True), S3Target("", "", "", "", "bucket", "")
    )


def space(monkeypatch: pytest.MonkeyPatch, found: Space) -> None:
    monkeypatch.setattr(disk.os, "statvfs", lambda _path: found)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (PLENTY, None),
        (NONE_LEFT, "is full: 0 MiB left"),
        (PLENTY._replace(f_favail=0), "can take no more files"),
        (PLENTY._replace(f_files=0, f_favail=0), None),  # a file system that does not count its files
    ],
)
def test_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: Space, said: str | None) -> None:
    space(monkeypatch, found)
    told = disk.space(tmp_path / "not" / "there").full
    assert (told is None) if said is None else (told and f"the disk of {tmp_path / 'not' / 'there'}" in told)
    assert said is None or said in (told or "")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_write_that_found_no_space(tmp_path: Path, number: int) -> None:
    assert disk.refused(OSError(number, "no"), tmp_path).startswith(f"the disk of {tmp_path} is full")
    with pytest.raises(PermissionError):
        disk.refused(PermissionError(errno.EACCES, "no"), tmp_path)


ALMOST = PLENTY._replace(f_bavail=100 * 256)


def test_almost_full_is_a_fault_and_no_time_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space(monkeypatch, PLENTY)
    left = disk.space(tmp_path)
    assert (left.problem, left.state, left.left) == (None, "has space", f"3.8 GiB left for {tmp_path}")
    launcher._check_disk(settings(tmp_path))
    space(monkeypatch, ALMOST)
    left = disk.space(tmp_path)
    sentence = f"the disk of {tmp_path} is almost full: 100 MiB left, at least 150 MiB are needed"
    assert (left.full, left.problem, left.state) == (None, sentence, "almost full")
    with pytest.raises(UserError) as raised:
        launcher._check_disk(settings(tmp_path))
    assert str(raised.value) == f"{sentence}, or set LOCAL_DIR to a folder on another disk"
    space(monkeypatch, NONE_LEFT)
    assert disk.space(tmp_path).state == "full"
    space(monkeypatch, PLENTY._replace(f_favail=9_999))
    left = disk.space(tmp_path)
    sentence = f"the disk of {tmp_path} is almost full: it can take 9,999 more files, at least 10,000 are needed"
    assert (left.full, left.problem, left.state) == (None, sentence, "almost full")


def test_the_launcher_lives_when_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise FULL

    def print_nothing(*_: object, **__: object) -> None:
        raise FULL

    output = Output()
    monkeypatch.setattr(output._console, "print", print_nothing)
    output.say("a line")
    assert output.close()
    monkeypatch.setattr(state, "write", no_space)
    own = settings(tmp_path)
    assert f"the disk of {tmp_path} is full" in (launcher._keep(state.launcher_alone(own), own) or "")


def test_a_service_whose_log_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    fuse = tmp_path / "fuse"
    code = f"import pathlib, time\nwhile not pathlib.Path({str(fuse)!r}).exists(): time.sleep(0.02)"
    running = Running([part("one", [PYTHON, "-c", code])], tmp_path / "logs")
    running.until(lambda: running.supervisor.all_ready)
    one = running.supervisor.runs["one"]
    one.log = tmp_path / "nowhere" / "one.log"  # what a full disk refuses, this refuses as well
    fuse.touch()
    running.until(lambda: one.restarts >= 2)
    one.log.parent.mkdir()
    fuse.unlink()
    running.until(lambda: one.phase is Phase.READY)
    running.stop()
    assert any(line.startswith("one could not be started: ") for line in running.said)


def test_a_step_whose_log_cannot_be_made_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "step.log").symlink_to(tmp_path / "nowhere" / "step.log")
    running = Running([Program("step", [PYTHON, "-c", "pass"])], tmp_path)
    running.until(lambda: running.error)
    running.stop()
    assert "step could not be started" in str(running.error)


def test_the_status_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = settings(tmp_path)
    own.folders.run.mkdir()
    alive = state.launcher_alone(own)
    process = {**alive["launcher"], "phase": "ready", "port": None, "restarts": 0}
    dead = {**process, "created": 0.0}
    before = {**alive, "ready": True, "ready_seconds": 1.0, "services": {"one": process, "two": dead}}
    state.write(before, own.folders.state)
    monkeypatch.setattr(launcher.status, "fetch", lambda _url: {"healthy": True, "faults": []})
    space(monkeypatch, NONE_LEFT)
    assert launcher.show_status(own.folders, as_json=True) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["faults"] == ["two is gone", f"the disk of {tmp_path} is full: 0 MiB left, make space"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FULL, "the disk of {} is full"),
        (PermissionError(errno.EACCES, "Permission denied", ".env"), "[Errno 13] Permission denied: '.env'"),
        (psutil.AccessDenied(7), "process 7 of the local stack is another user's"),
    ],
)
def test_a_command_that_the_system_refuses_something_says_so(
    error: Exception, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_space(*_: object) -> int:
        raise error

    monkeypatch.setattr(commands, "load", lambda: settings(tmp_path))
    monkeypatch.setenv("LOCAL_DIR", str(tmp_path))
    monkeypatch.setattr(launcher, "up", no_space)
    monkeypatch.setattr("sys.argv", ["local", "up"])
    assert commands.main() == 1
    assert capsys.readouterr().err.startswith("error: " + said.format(tmp_path))
