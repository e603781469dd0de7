"""The checks against servers that answer, refuse, and accept connections without ever answering."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from local import checks
from local.checks import Check, broker_ready, fresh, http_ok, mongodb_answers
from local.settings import HOST

EVERY: dict[str, Callable[[int], Check]] = {
    "broker": lambda port: broker_ready(f"{HOST}:{port}"),
    "http": lambda port: http_ok(f"http://{HOST}:{port}/"),
    "mongodb": lambda port: mongodb_answers(HOST, port),
}


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of a process that hangs: the kernel accepts connections for it, and nobody answers."""
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture
def web() -> Iterator[int]:
    """The port of a server that answers with the status that the path names; /0 is not answered."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = int(self.path.strip("/"))
            if status:
                self.send_response(status)
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer((HOST, 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", EVERY)
def test_what_hangs_gives_no_answer(name: str, deaf: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SECONDS", 0.5)
    assert EVERY[name](deaf)() is None


@pytest.mark.parametrize("name", EVERY)
def test_what_does_not_listen_gives_no_answer(name: str) -> None:
    with socket.socket() as closed:
        closed.bind((HOST, 0))
        assert EVERY[name](closed.getsockname()[1])() is None


@pytest.mark.parametrize(("path", "ok", "answers"), [("200", True, True), ("403", False, True), ("503", False, False)])
def test_an_unhealthy_answer_is_an_answer(web: int, path: str, ok: bool, answers: bool) -> None:
    url = f"http://{HOST}:{web}/{path}"
    assert http_ok(url)() is ok
    assert http_ok(url, below=500)() is answers


def test_a_server_that_is_busy_with_one_thing_lives(web: int) -> None:
    silent = f"http://{HOST}:{web}/0"
    assert http_ok(silent)() is None
    assert http_ok(silent, alive=f"http://{HOST}:{web}/200")() is False
    assert http_ok(silent, alive=silent)() is None


def test_a_heartbeat_grows_old(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    check = fresh(beat, 30)
    assert check() is None
    beat.touch()
    assert check() is True
    os.utime(beat, times=(time.time() - 31, time.time() - 31))
    assert check() is None
