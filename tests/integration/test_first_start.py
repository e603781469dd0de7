"""A clone where people really have one: an unusual path, a link to start.sh, a bare environment, no network."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts import topics
from local.settings import ROOT, cache_folder
from tests.compose.conftest import clone
from tests.support.expectation import SMALL
from tests.support.stack import START_SECONDS, await_success, free_ports

# Java reads properties as Latin-1 and cuts lists at commas, Python cuts PYTHONPATH at colons, H2 turns backslashes around.
UNUSUAL_PATH = "Tür, $HOME `q`\"it's\\new:😀 %41#!;&*"


@dataclass(frozen=True)
class Clone:
    """A clone, and a link to its start.sh that is on the user's PATH."""

    folder: Path
    link: Path
    environment: Mapping[str, str]

    def start_sh(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """From another folder, without HOME and with the C locale."""
        return self.run("bash", str(self.link), *arguments, **variables)

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            check=False,
            cwd=self.link.parent,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = clone(tmp_path_factory.mktemp("clones") / UNUSUAL_PATH / "clone")
    link = tmp_path_factory.mktemp("bin") / "fraud"
    link.symlink_to(folder / "start.sh")
    environment = {
        **free_ports(),
        **SMALL.environment,
        "PATH": os.environ["PATH"],
        "XDG_CACHE_HOME": str(cache_folder().parent),
        "CDPATH": f"{ROOT}:/",
        "LC_ALL": "C",
    }
    one = Clone(folder, link, environment)
    answer = one.start_sh("--local", "--detach")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    try:
        yield one
    finally:
        stopped = one.start_sh("--local", "--stop")
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr


def test_everything_is_kept_in_the_clone(started: Clone) -> None:
    assert {path.name for path in (started.folder / ".local").iterdir()} == {"data", "logs", "python", "run"}
    for store in ("kafka", "mongodb", "s3"):
        assert any((started.folder / ".local" / "data" / store).iterdir()), store
    beside = [path for path in started.folder.parent.parent.iterdir() if path != started.folder.parent]
    assert beside == []
    assert [path.name for path in started.folder.parent.iterdir()] == ["clone"]


def test_commands_follow_the_running_stack_and_not_the_environment(started: Clone) -> None:
    # An environment that no start would take, and a proxy that is not there.
    other = {
        "CONSOLE_PORT": "1",
        "KAFKA_PORT": "2",
        "MY_AWS_REGION": "half a group",
        "http_proxy": "http://127.0.0.1:9",
    }
    status = await_success(lambda: started.start_sh("--status", "--json", **other))
    assert status.stderr.count("\n") == 1, status.stderr
    assert f"was started with KAFKA_PORT={started.environment['KAFKA_PORT']}" in status.stderr
    replayed = started.start_sh("--replay-dlq", topics.BANK_TRANSACTIONS_DLQ, "--dry-run", **other)
    assert "would be replayed" in replayed.stdout, replayed.stderr


def test_the_queries_find_the_stores(started: Clone) -> None:
    python = str(started.folder / ".local" / "python")
    other = {"MONGODB_URI": "mongodb://127.0.0.1:1", "S3_ENDPOINT": "http://127.0.0.1:1", "AWS_PROFILE": "work"}
    for query in ("mongodb_join.py", "athena_join.py"):
        answer = started.run(
            python, str(started.folder / "queries" / query), **other, http_proxy="http://127.0.0.1:9", no_proxy=""
        )
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.startswith("TRANSACTION_ID"), answer.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "dash"])
def test_what_is_printed_can_be_typed(started: Clone, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    printed = (started.folder / ".local" / "logs" / "launcher.log").read_text()
    (connectors,) = [line[line.index("curl") :] for line in printed.splitlines() if "/connectors" in line]
    answer = started.run(shell, "-c", connectors)
    assert answer.stdout.startswith("{"), answer.stderr


def test_no_network_at_the_first_start_is_one_line(tmp_path: Path) -> None:
    unshare = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("the network cannot be taken away here")
    environment = {"PATH": os.environ["PATH"], "PIP_RETRIES": "1", "LOCAL_DIR": str(tmp_path / "local")}
    answer = subprocess.run(
        [*unshare, "bash", str(ROOT / "start.sh"), "--local"],
        check=False,
        env={**environment, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1
    once, error = answer.stderr.splitlines()
    assert once.startswith("installing the Python packages")
    assert error.startswith("error: the Python packages could not be downloaded: check the network")
    assert [path.name for path in (tmp_path / "cache" / "realtime-fraud-detection").iterdir()] == ["pip.log"]


def environment_of(cache: Path, requirements: str) -> subprocess.CompletedProcess[str]:
    """A Python with these packages, as the first start makes one, with the downloads of this machine's pip."""
    (cache / "requirements.txt").write_text(requirements)
    return subprocess.run(
        ["bash", "-c", '. local/bootstrap.sh; make_environment "$XDG_CACHE_HOME/requirements.txt"'],
        check=False,
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
    )


def test_packages_are_installed_once_and_only_as_pinned(tmp_path: Path) -> None:
    pins = (ROOT / "local" / "requirements.txt").read_text()
    six = re.search(r"^six==.*(?:\n    .*)+\n", pins, re.MULTILINE)
    assert six is not None
    downloads = tmp_path / "realtime-fraud-detection"
    refused = environment_of(tmp_path, re.sub("sha256:[0-9a-f]{8}", "sha256:00000000", six[0]))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "DO NOT MATCH THE HASHES" in refused.stderr.splitlines()[-1]
    assert [path.name for path in downloads.iterdir()] == ["pip.log"]
    made = environment_of(tmp_path, six[0])
    assert made.returncode == 0, made.stderr
    assert "Installed 1 package" in made.stderr  # by uv
    python = made.stdout.strip()
    assert subprocess.run([python, "-c", "import six"], check=False).returncode == 0
    again = environment_of(tmp_path, six[0])
    assert (again.stdout, again.stderr) == (made.stdout, "")
    assert {path.name for path in downloads.iterdir()} == {"pip.log", Path(python).parent.parent.name}
