"""The launcher's own logic: settings, the supervisor with small processes, jar lists, the state file."""

import functools
import hashlib
import http.server
import itertools
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest
from requests.adapters import HTTPAdapter

from local import certificates, jars, launcher, state, supervisor
from local.__main__ import _clean
from local.launcher import only_one, show_status, stop
from local.plan import Program
from local.settings import AWS_GROUP, MONGODB_GROUP, Folders, MongoTarget, Ports, S3Target, Settings, cloud_group, load
from local.supervisor import Phase, created, find_process, stop_processes
from local.view import addresses
from runtime.errors import UserError
from runtime.kafka import security_config
from tests.support.supervised import PYTHON, SLEEP, Running, part


def test_cloud_group_is_all_or_nothing() -> None:
    full: dict[str, str] = dict.fromkeys(MONGODB_GROUP, "x")
    assert cloud_group(MONGODB_GROUP, {}) is None
    assert cloud_group(MONGODB_GROUP, full) == ("x", "x", "x")
    with pytest.raises(
        UserError, match="MY_AWS_SECRET_ACCESS_KEY, MY_AWS_REGION not set, while MY_AWS_ACCESS_KEY_ID is"
    ):
        cloud_group(AWS_GROUP, {"MY_AWS_ACCESS_KEY_ID": "x"})


def test_the_environment_is_made_fit_for_the_local_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_DIR", str(tmp_path))
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("S3_BUCKET", "my-bucket")
    assert load().s3.bucket == "my-bucket"
    assert security_config() == {}
    assert os.environ["no_proxy"] == "example.com,127.0.0.1,localhost"


AWS = dict(zip(AWS_GROUP, ("key", "secret", "eu-west-1"), strict=True))


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 5),
        (AWS, 30),
        ({"ARCHIVE_INTERVAL_SECONDS": "60"}, 60),
        ({**AWS, "ARCHIVE_INTERVAL_SECONDS": "60"}, 60),
    ],
)
def test_objects_are_minutes_apart_in_aws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], seconds: int
) -> None:
    monkeypatch.setenv("LOCAL_DIR", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert load().s3.archive_seconds == seconds


def test_a_cached_jar_is_not_fetched_again(tmp_path: Path) -> None:
    jar = jars.Jar("g", "a", "1", "", "0" * 64)
    path = jars.path_of(jar, tmp_path)
    path.parent.mkdir(parents=True)
    path.touch()
    jars.fetch([jar], tmp_path, lambda done, wanted: pytest.fail("nothing is missing"))


def test_a_download_is_tried_again_and_then_given_up_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"a jar"
    jar = jars.Jar("g", "a", "1", "", hashlib.sha256(content).hexdigest())
    failures = [OSError("no route"), OSError("no route")]

    def download(_jar: jars.Jar, _stopping: Event) -> bytes:
        if failures:
            raise failures.pop()
        return content

    monkeypatch.setattr(jars, "_download", download)
    monkeypatch.setattr(jars, "PAUSES", (0, 0))
    jars.fetch([jar], tmp_path, lambda done, wanted: None)
    assert jars.path_of(jar, tmp_path).read_bytes() == content
    failures.extend(OSError("no route") for _ in range(3))
    with pytest.raises(UserError, match=r"g:b:1 could not be fetched.*no route"):
        jars.fetch([jar._replace(artifact="b")], tmp_path, lambda done, wanted: None)
    with pytest.raises(UserError, match="not the file that was pinned"):
        jars.fetch([jar._replace(sha256="0" * 64)], tmp_path, lambda done, wanted: None)


def test_downloads_end_when_the_start_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a server that sends 600 MB, and does not say so."""

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                for _ in range(10_000):
                    self.wfile.write(bytes(jars.CHUNK))

        def log_message(self, *_: object) -> None: ...

    def progress(_done: int, _wanted: int) -> None:
        if next(calls) > 1:
            raise KeyboardInterrupt

    calls = itertools.count()
    monkeypatch.setattr(jars, "PAUSES", (1_000,))
    monkeypatch.setattr(jars, "_SystemCertificates", HTTPAdapter)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", f"http://127.0.0.1:{server.server_port}")
        wanted = [jars.Jar("g", f"a{number}", "1", "", "0" * 64) for number in range(40)]
        with pytest.raises(KeyboardInterrupt):
            jars.fetch(wanted, tmp_path, progress)
        server.shutdown()
    assert not [*tmp_path.glob("fetching.*")]


def test_a_port_that_another_program_has_on_ipv6_alone_is_taken() -> None:
    """A browser may take `localhost` for that."""
    with socket.socket(socket.AF_INET6) as other:
        try:
            other.bind(("::1", 0))
        except OSError:
            pytest.skip("there is no IPv6 here")
        port = other.getsockname()[1]
        assert not launcher._taken(port)
        other.listen()
        assert launcher._taken(port)


def test_downloads_trust_the_authorities_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a company whose proxy signs for everybody: pip and uv do."""
    jar = jars.Jar("g", "a", "1", "", "0" * 64)
    file = tmp_path / "g" / "a" / "1" / jar.filename
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a jar")
    trusted, brokers = tmp_path / "certificate.pem", tmp_path / "brokers.pem"
    certificates.make(trusted, brokers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(brokers)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", f"https://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        assert jars._download(jar, Event()) == b"a jar"
        server.shutdown()


def settings(folder: Path) -> Settings:
    return Settings(
        Ports(),
        Folders(folder, folder / "cache"),
        MongoTarget("mongodb+srv://me:secret@cluster", embedded=False),
        S3Target(None, "key", "hidden", "eu-west-1", "bucket", "prefix"),
    )


def test_addresses_show_no_credential(tmp_path: Path) -> None:
    shown = addresses(settings(tmp_path))
    assert "secret" not in shown
    assert "hidden" not in shown


def test_nodes_start_when_those_before_them_are_ready(tmp_path: Path) -> None:
    gate = Event()
    running = Running(
        [
            part("second", after=("step",)),
            Program("step", [PYTHON, "-c", "pass"], after=("first",)),
            part("first", ready=gate.is_set),
        ],
        tmp_path,
    )
    running.until(lambda: running.supervisor.runs["first"].phase is Phase.STARTING)
    assert running.supervisor.runs["step"].phase is Phase.WAITING
    gate.set()
    running.until(lambda: running.supervisor.all_ready)
    names = [line.split()[0] for line in running.said]
    assert names == ["first", "step", "second", "everything"]
    pids = [run.process.pid for run in running.supervisor.runs.values() if run.process]
    running.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_part_that_dies_is_restarted_with_back_off(tmp_path: Path) -> None:
    fuse = tmp_path / "fuse"
    code = f"import pathlib, sys, time\nwhile not pathlib.Path({str(fuse)!r}).exists(): time.sleep(0.02)\nsys.exit(3)"
    running = Running([part("crasher", [PYTHON, "-c", code])], tmp_path)
    running.until(lambda: running.supervisor.ready_seconds is not None)
    fuse.touch()
    running.until(lambda: running.supervisor.runs["crasher"].restarts == 3)
    running.stop()
    assert any(line.startswith("crasher ended with exit code 3, restart in 0 s") for line in running.said)
    assert any("restart in 1 s" in line for line in running.said)
    assert any("restart in 2 s" in line for line in running.said)


def test_a_step_that_fails_ends_the_start_with_its_last_words(tmp_path: Path) -> None:
    running = Running([Program("step", [PYTHON, "-c", "raise SystemExit('no such thing')"])], tmp_path)
    running.until(lambda: running.error)
    running.stop()
    assert "step ended with exit code 1" in str(running.error)
    assert "no such thing" in str(running.error)
    assert running.supervisor.runs["step"].restarts == 0


def test_only_the_words_of_this_start_are_shown(tmp_path: Path) -> None:
    (tmp_path / "step.log").write_text("words of an earlier start\n")
    running = Running([Program("step", [PYTHON, "-c", "raise SystemExit('words of this one')"])], tmp_path)
    running.until(lambda: running.error)
    running.stop()
    assert "words of this one" in str(running.error)
    assert "earlier" not in str(running.error)


def test_a_large_log_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "MAX_LOG_BYTES", 10)
    (tmp_path / "one.log").write_text("more than ten bytes")
    running = Running([part("one")], tmp_path)
    running.until(lambda: running.supervisor.all_ready)
    running.stop()
    assert (tmp_path / "one.log.1").read_text() == "more than ten bytes"
    assert (tmp_path / "one.log").read_text() == ""


def test_a_part_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.5)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('ready', 'w'); time.sleep(60)"
    ready = tmp_path / "ready"
    program = part("stubborn", [PYTHON, "-c", code.replace("'ready'", repr(str(ready)))], ready=ready.exists)
    running = Running([program], tmp_path)
    running.until(lambda: running.supervisor.all_ready)
    running.stop()
    assert any("was killed" in line for line in running.said)


def test_leftovers_are_ended_and_reused_pids_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (subprocess.Popen(SLEEP) for _ in range(2))
    try:
        when = created(psutil.Process(one.pid))
        if sys.platform == "linux":  # the clock was set, as in a virtual machine that stood still
            monkeypatch.setattr("psutil._pslinux.boot_time", lambda: time.time() - 5)
        left = [find_process(one.pid, when), find_process(two.pid, f"{when}0")]
        assert left[1] is None
        stop_processes([process for process in left if process is not None])
        assert not psutil.pid_exists(one.pid)
        assert two.poll() is None
        assert find_process(one.pid, when) is None
    finally:
        two.kill()
        two.wait()


def test_the_status_of_a_start_and_of_a_killed_launcher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, file = settings(tmp_path).folders, settings(tmp_path).folders.state
    file.parent.mkdir(parents=True)
    starting = state.launcher_alone(settings(tmp_path))
    state.write(starting, file)
    assert show_status(own, as_json=False) == 1
    assert "still starting" in capsys.readouterr().out
    dead = {"pid": 1, "created": 0.0}
    state.write({**starting, "launcher": dead, "services": {"one": starting["launcher"], "two": dead}}, file)
    assert show_status(own, as_json=False) == 1
    assert "the launcher was killed, 1 of its processes" in capsys.readouterr().out


def test_clean_removes_what_the_stack_made_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = Folders(tmp_path / "mine", tmp_path)
    for folder in (own.data, own.logs):
        folder.mkdir(parents=True)
    (own.base / "mine.txt").touch()
    assert _clean(own) == 0
    assert [path.name for path in own.base.iterdir()] == ["mine.txt"]
    assert "other files are left" in capsys.readouterr().out
    (own.base / "mine.txt").unlink()
    assert _clean(own) == 0
    assert not own.base.exists()


def test_nothing_is_stopped_or_removed_under_a_launcher_that_is_not_known(tmp_path: Path) -> None:
    own = settings(tmp_path).folders
    own.data.mkdir(parents=True)
    with only_one(own):
        for command in (stop, _clean):
            with pytest.raises(UserError, match="another version"):
                command(own)
    assert own.data.exists()


def test_the_state_tells_whether_its_launcher_lives(tmp_path: Path) -> None:
    running = Running([part("one")], tmp_path)
    running.until(lambda: running.supervisor.all_ready)
    file = tmp_path / "state.json"
    assert state.read(file) is None
    state.write(state.snapshot(running.supervisor, settings(tmp_path), None), file)
    running.stop()
    current = state.read(file)
    assert current is not None
    assert state.alive(current["launcher"])
    assert not state.alive(current["services"]["one"])
    assert "hidden" not in json.dumps(current)
