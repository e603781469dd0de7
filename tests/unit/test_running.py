"""What the commands know of the stack that runs, and what a power cut may leave of its files."""

import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.processes import STALE_SECONDS
from local import files, launcher, running, settings, state
from local.__main__ import _remove, main
from local.plan import PYTHON_SOURCES
from local.settings import (
    AWS_GROUP,
    ROOT,
    WRITTEN_BY_DOCKER,
    Folders,
    MongoTarget,
    Ports,
    S3Target,
    Settings,
    load,
)
from runtime.errors import UserError

PORTS = Ports(kafka_port=40001, console_port=40002)
WINDOWS = "\ufeffKAFKA_PORT=40007\r\nMY_MONGODB_USER=\r\nMY_MONGODB_PASS=\r\nS3_BUCKET=mine\r\n"
LEFT_BY_A_POWER_CUT = ["", '{"launcher": {"pid": 1', "\0" * 40, "{}", "[]", "null"]


@pytest.fixture
def started(tmp_path: Path) -> Settings:
    """A stack whose launcher is this process."""
    s3 = S3Target("http://127.0.0.1:9000", "local", "it's secret", "us-east-1", "bucket", "prefix")
    own = Settings(
        PORTS, Folders(tmp_path, tmp_path / "cache"), MongoTarget("mongodb://127.0.0.1:40003", embedded=True), s3
    )
    own.folders.run.mkdir()
    state.write(state.launcher_alone(own), own.folders.state)
    return own


def test_the_running_stack_has_the_ports_that_it_was_started_with(
    started: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_PORT", "high")  # not even a port
    monkeypatch.setenv("CONSOLE_PORT", "40002")
    assert running.find(started.folders).bootstrap == "127.0.0.1:40001"
    (note,) = capsys.readouterr().err.splitlines()
    assert "started with KAFKA_PORT=40001, which is used: KAFKA_PORT=high in the environment" in note
    monkeypatch.setenv("KAFKA_PORT", "40001")
    running.find(started.folders)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", LEFT_BY_A_POWER_CUT)
def test_half_a_state_is_none(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCAL_DIR", str(tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.json").write_text(text)
    for command, code in (
        (["status"], 1),
        (["topic", "users"], 1),
        (["replay-dlq", "x"], 1),
        (["trace", "t1"], 1),
        (["stop"], 0),
    ):
        monkeypatch.setattr("sys.argv", ["local", *command])
        assert main() == code
        shown = capsys.readouterr()
        assert "the local stack is not running" in shown.out + shown.err
    monkeypatch.setattr("sys.argv", ["local", "clean"])
    assert main() == 0
    assert not tmp_path.exists()


def test_a_stack_that_a_power_cut_ended_does_not_run(started: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    gone = {"pid": os.getpid(), "created": 1.0}  # the number has another process now
    state.write({**state.launcher_alone(started), "launcher": gone, "services": {"kafka": gone}}, started.folders.state)
    with pytest.raises(UserError, match="the local stack is not running"):
        running.find(started.folders)
    assert launcher.show_status(started.folders, as_json=False) == 1
    assert "the local stack is not running" in capsys.readouterr().out


def test_a_launcher_that_stands_still_is_a_fault(
    started: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = state.launcher_alone(started)
    gone = {"phase": "ready", "pid": os.getpid(), "created": 1.0, "rss_mib": 1}
    state.write({**alone, "ready": True, "ready_seconds": 1.0, "services": {"bank": gone}}, started.folders.state)
    monkeypatch.setattr(launcher.status, "fetch", lambda _: {"healthy": True, "faults": []})
    old = time.time() - STALE_SECONDS - 1
    os.utime(started.folders.state, (old, old))
    assert launcher.show_status(started.folders, as_json=True) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["faults"][0] == "bank is gone"
    assert said["faults"][1].startswith("the launcher has not written for")


@pytest.mark.parametrize("ignored", [True, False])
def test_what_nohup_has_started_outlives_its_terminal(ignored: bool) -> None:
    script = (
        "import os, signal\nfrom local import launcher\n"
        f"signal.signal(signal.SIGHUP, signal.{'SIG_IGN' if ignored else 'SIG_DFL'})\n"
        "launcher._on_signals((signal.SIGHUP,), lambda *_: os._exit(3))\n"
        "os.kill(os.getpid(), signal.SIGHUP)"
    )
    path = {"PYTHONPATH": os.pathsep.join(map(str, PYTHON_SOURCES))}
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env={**os.environ, **path}, check=False)
    assert ended.returncode == (0 if ignored else 3)


def test_clean_removes_nothing_behind_a_link(
    started: Settings, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path_factory.mktemp("other disk")
    (other / "mine").touch()
    started.folders.data.symlink_to(other)
    _remove(started.folders.data)
    assert not started.folders.data.is_symlink()
    assert list(other.iterdir()) == [other / "mine"]
    assert f"what is in {other} is left" in capsys.readouterr().out


@pytest.mark.parametrize("left", ["", "0123456789", "\0" * 40])
def test_half_a_secret_is_made_again(left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_DIR", str(tmp_path))
    file = tmp_path / "run" / "s3-secret"
    file.parent.mkdir()
    file.write_text(left)
    secret = load().s3.secret_access_key
    assert len(secret) == 40
    assert load().s3.secret_access_key == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new" / "file"
    files.write(file, "before", mode=0o600)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        files.write(file, "after", mode=0o600)
    assert file.read_text() == "before"
    monkeypatch.undo()
    files.write(file, "after", mode=0o600)  # what the failed try left is no hindrance
    assert file.read_text() == "after"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_the_queries_need_is_for_its_user_alone(started: Settings) -> None:
    launcher.write_stores_environment(started)
    assert stat.S_IMODE(started.folders.stores.stat().st_mode) == 0o600
    shown = subprocess.run(
        ["sh", "-c", f'set -a; . "{started.folders.stores}"; env'], check=True, env={}, capture_output=True, text=True
    ).stdout.splitlines()
    assert "KAFKA_BOOTSTRAP_SERVER=127.0.0.1:40001" in shown
    assert "MONGODB_URI=mongodb://127.0.0.1:40003" in shown
    assert "AWS_SECRET_ACCESS_KEY=it's secret" in shown


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The .env of another clone, which is read; what it sets is taken back."""
    before = dict(os.environ)
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    monkeypatch.setenv("LOCAL_DIR", str(tmp_path / "local"))
    monkeypatch.delenv("PYTHON_DOTENV_DISABLED", raising=False)
    yield tmp_path / ".env"
    os.environ.clear()
    os.environ.update(before)


def test_env_file_of_windows(env_file: Path) -> None:
    env_file.write_bytes(WINDOWS.encode())
    loaded = load()
    assert (loaded.ports.kafka_port, loaded.s3.bucket) == (40007, "mine")
    assert loaded.mongodb.embedded


def test_what_docker_s_start_has_written_is_not_for_this_mode(
    env_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may have the cloud's keys that were exported for that start."""
    keys = "".join(f"{name}='eu-west-1'\n" for name in AWS_GROUP)
    env_file.write_text(f"S3_BUCKET=mine\n# --- written by start.sh at each start\n{keys}")
    loaded = load()
    assert loaded.s3.bucket == "mine"
    assert loaded.s3.endpoint is not None
    assert (
        f"note: {', '.join(AWS_GROUP)} of a start in Docker, at the end of .env, is not used" in capsys.readouterr().err
    )


@pytest.mark.parametrize("end", ["# --- end of what start.sh writes\n", ""], ids=["now", "of an older version"])
def test_what_is_appended_to_what_docker_s_start_has_written_is_the_user_s(env_file: Path, end: str) -> None:
    own, appended = "S3_BUCKET=mine\n# --- of mine\n", 'KAFKA_PORT=40007\nMY_AWS_REGION="eu-west-1"\nNOTE="a\nb"\n'
    env_file.write_text(f"{own}# --- written by start.sh at each start\nMY_AWS_REGION=us-east-1\n{end}{appended}")
    command = ["bash", "-c", f". {ROOT}/init/settings.sh; own_lines"]
    by_docker = subprocess.run(command, cwd=env_file.parent, check=True, capture_output=True, text=True).stdout
    assert by_docker == own + (appended if end else "")
    assert WRITTEN_BY_DOCKER.sub("", env_file.read_text()) == by_docker


def test_both_modes_know_what_docker_s_start_writes() -> None:
    written = re.findall(r"printf '(# --- .*?)\\n'", (ROOT / "init" / "compose.sh").read_text())
    assert len(written) == 2
    assert WRITTEN_BY_DOCKER.sub("", "\n".join(written)) == ""


def test_env_file_in_another_encoding_is_named(env_file: Path) -> None:
    env_file.write_bytes("S3_BUCKET=für".encode("latin-1"))
    with pytest.raises(UserError, match=r"\.env is not in UTF-8"):
        load()
