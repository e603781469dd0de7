"""start.sh and local/bootstrap.sh on machines that are not as expected: what is done, or said before any download."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local import install
from local.settings import ROOT, Folders

BASH = shutil.which("bash") or "bash"


def run(
    *command: str | Path, folder: Path = ROOT, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """With PATH and these variables alone."""
    return subprocess.run(
        list(map(str, command)),
        check=False,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
    )


def bootstrap(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Lines of bash, with the functions of bootstrap.sh."""
    return run(BASH, "-c", f". local/bootstrap.sh; {script}", environment=environment)


@pytest.mark.parametrize("shell", ["dash", "busybox sh"])
def test_another_shell_is_told_that_bash_is_needed(shell: str) -> None:
    if shutil.which(shell.split(maxsplit=1)[0]) is None:
        pytest.skip(f"{shell} is not on this machine")
    answer = run(*shell.split(), "start.sh", "--status")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "error: start.sh needs bash: call it as ./start.sh or bash start.sh\n"
    sourced = run(*shell.split(), "-c", ". ./start.sh; echo still here")
    assert sourced.stdout == "still here\n"


def test_a_link_to_start_sh_and_cdpath(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "one").symlink_to(ROOT / "start.sh")
    (tmp_path / "bin" / "fraud").symlink_to("../one")
    environment = {"CDPATH": f"{tmp_path}:{ROOT}", "LOCAL_DIR": str(tmp_path / "local")}
    for called in ("bin/fraud", tmp_path / "one"):
        answer = run(BASH, called, "--local", "--stop", folder=tmp_path, environment=environment)
        assert (answer.returncode, answer.stdout) == (0, "the local stack is not running\n"), answer.stderr
    # With CDPATH, `cd local` prints where it goes.
    nested = run(BASH, "../start.sh", "--local", "--stop", folder=ROOT / "local", environment=environment)
    assert nested.stdout == "the local stack is not running\n", nested.stderr
    assert run(BASH, "local/bootstrap.sh", "stop", environment=environment).stdout == "the local stack is not running\n"


def test_commands_of_a_clone_that_never_ran_download_nothing(tmp_path: Path) -> None:
    environment = {"LOCAL_DIR": str(tmp_path / "local"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for command in (["--status"], ["--topic", "users"], ["--replay-dlq", "users-dlq"]):
        answer = run(BASH, "start.sh", "--local", *command, environment=environment)
        assert answer.returncode == 1
        assert answer.stderr == "error: the local stack is not running: ./start.sh --local starts it\n"
    for command in ("--stop", "--clean"):
        assert run(BASH, "start.sh", "--local", command, environment=environment).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_after_a_first_start_that_was_interrupted_nothing_is_downloaded_to_stop_it(tmp_path: Path) -> None:
    environment = {"LOCAL_DIR": str(tmp_path / "local"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert bootstrap("check_local_dir", **environment).returncode == 0
    for command, code in (("--status", 1), ("--stop", 0), ("--clean", 0)):
        answer = run(BASH, "start.sh", "--local", command, environment=environment)
        assert (answer.returncode, "not running" in answer.stdout + answer.stderr) == (code, True)
    assert list(tmp_path.iterdir()) == []


def test_a_stack_is_stopped_by_what_it_was_started_with(tmp_path: Path) -> None:
    """Also without a network, when the packages of this Python, or of today's requirements, are not there."""
    environment = {"LOCAL_DIR": str(tmp_path / "local"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert bootstrap(f"check_local_dir; write_python {sys.executable}", **environment).returncode == 0
    answer = run(BASH, "start.sh", "--local", "--stop", environment=environment)
    assert (answer.returncode, answer.stdout) == (0, "the local stack is not running\n"), answer.stderr
    assert not (tmp_path / "cache").exists()


def test_a_python_that_is_too_old_is_no_reason_not_to_stop_a_stack(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho Python 3.9.2\n")
    old.chmod(0o755)
    for name in ("python", *(f"python3.{minor}" for minor in range(11, 15))):
        (tmp_path / name).symlink_to(old)
    path = f"PATH={tmp_path}:$PATH"
    assert bootstrap(f"{path}; make_environment local/requirements.txt /bin/sh").stdout == "/bin/sh\n"
    answer = bootstrap(f"{path}; make_environment local/requirements.txt")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("error: Python 3.11 to 3.14 is needed and none is on PATH")


def test_data_of_which_nothing_else_is_left_is_removed_by_clean(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    assert bootstrap("check_local_dir", LOCAL_DIR=str(folder)).returncode == 0
    assert bootstrap("is_untouched", LOCAL_DIR=str(folder)).returncode == 0
    (folder / "data").mkdir()
    assert bootstrap("is_untouched", LOCAL_DIR=str(folder)).returncode == 1


def test_a_virtual_environment_of_the_shell_s_needs_no_other_packages(tmp_path: Path) -> None:
    assert run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv").returncode == 0
    shown = "from pathlib import Path; from local import install; print(install.folder_of(Path(), Path('Makefile')))"
    own, inside = (
        run(python, "-c", shown).stdout for python in (sys.executable, str(tmp_path / "venv" / "bin" / "python"))
    )
    assert own == inside != ""


def test_a_folder_of_an_earlier_start_is_this_stack_s(tmp_path: Path) -> None:
    """However far that start came, and whatever was removed since."""
    script = f"check_local_dir; write_python {sys.executable}"
    for left in ("run/lock", "run", "python"):
        folder = tmp_path / left.replace("/", "-")
        assert bootstrap(script, LOCAL_DIR=str(folder)).returncode == 0
        if left == "run":
            (folder / "python").unlink()
            (folder / "run" / "lock").unlink()
        elif left == "python":
            shutil.rmtree(folder / "run")
        answer = bootstrap("check_local_dir", LOCAL_DIR=str(folder))
        assert answer.returncode == 0, answer.stderr


def test_all_that_clean_removes_is_checked_first() -> None:
    checked = re.findall(r"for name in (.*); do # Folders.made", (ROOT / "local" / "bootstrap.sh").read_text())
    assert [one.split() for one in checked] == [[path.name for path in Folders(Path("x"), Path("y")).made]]


def test_what_was_in_the_folder_before_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "own" / "data").mkdir(parents=True)
    (tmp_path / "own" / "data" / "mine").touch()
    environment = {"LOCAL_DIR": str(tmp_path / "own"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    started = run(BASH, "start.sh", "--local", environment=environment)
    assert started.returncode == 1
    assert started.stderr.startswith(f"error: {tmp_path / 'own' / 'data'} is not this stack's")
    for command in ("--stop", "--clean"):
        assert run(BASH, "start.sh", "--local", command, environment=environment).returncode == 0
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "own",
        "own/data",
        "own/data/mine",
    ]


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"HOME": "", "XDG_CACHE_HOME": "relative"}])
def test_without_a_home_the_cache_is_where_the_system_says(environment: dict[str, str]) -> None:
    answer = bootstrap("cache_folder", **environment)
    assert answer.stdout == f"{pwd.getpwuid(os.getuid()).pw_dir}/.cache", answer.stderr


@pytest.mark.parametrize("folder", ["/proc/none", "/tmp/one:two"])
def test_a_cache_that_cannot_be_used_is_named(folder: str) -> None:
    answer = bootstrap("make_environment tests/requirements.in", XDG_CACHE_HOME=folder)
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert folder in answer.stderr
    assert "set XDG_CACHE_HOME to a folder" in answer.stderr


def mounted(options: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """`start.sh --local` with LOCAL_DIR on a file system of its own, mounted with these options."""
    unshare = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or run(*unshare, "mount", "-t", "tmpfs", "none", "/mnt").returncode:
        pytest.skip("nothing can be mounted here, not even in a namespace of its own")
    (tmp_path / "mount").mkdir()
    script = f'mount -t tmpfs -o {options} none "$1" && LOCAL_DIR=$1/local exec bash start.sh --local'
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    return run(*unshare, BASH, "-c", script, "start", tmp_path / "mount", environment=environment)


@pytest.mark.parametrize(("options", "reason"), [("noexec", "noexec"), ("ro", "nothing can be written in")])
def test_a_folder_that_cannot_be_used_is_named_before_any_download(options: str, reason: str, tmp_path: Path) -> None:
    answer = mounted(options, tmp_path)
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert reason in answer.stderr
    assert "LOCAL_DIR=" in answer.stderr
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            "WARNING: Retrying (Retry(total=4)) after ...\nERROR: No matching distribution\n",
            "check the network, or the proxy",
        ),
        (
            "ERROR: In --require-hashes mode ...\nERROR: Hashes are missing\n",
            "could not be installed: ERROR: Hashes are missing",
        ),
        (
            "error: Failed to fetch: ...\n  cause: dns error\n  cause: ... Temporary failure in name resolution\n",
            "check the network, or the proxy",
        ),
    ],
)
def test_an_installer_s_many_lines_become_one(log: str, said: str) -> None:
    assert said in install.why_failed(log)
    assert "\n" not in install.why_failed(log)


def test_uv_is_given_what_pip_is_configured_with(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://mirror.test/simple\ncert = /a.pem\nextra-index-url =\n    https://one.test\n    https://two.test\n"
        "[install]\ncert = /b.pem\n[download]\ncert = /c.pem\n"
    )
    variables = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_TRUSTED_HOST": "mirror.test", "PIP_NO_INDEX": "0"}
    # The environment of the tests has no pip.
    assert run(sys.executable, "-m", "venv", tmp_path / "installer").returncode == 0
    listing = run(tmp_path / "installer" / "bin" / "pip", "config", "list", environment=variables).stdout
    options = install.uv_options(install.pip_settings(listing))
    assert options[:5] == [
        "--index-url=https://mirror.test/simple",
        "--cert=/b.pem",
        "--extra-index-url=https://one.test",
        "--extra-index-url=https://two.test",
        "--allow-insecure-host=mirror.test",
    ]
    assert "--no-index" not in options


def test_an_environment_of_which_a_part_was_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def install_nothing(_requirements: Path, work: Path, _downloads: Path, _log: object) -> None:
        (work / "environment" / "bin").mkdir(parents=True)
        (work / "environment" / "bin" / "python").touch()

    monkeypatch.setattr(install, "_install", install_nothing)
    python = install.environment(tmp_path, ROOT / "local" / "requirements.txt")
    (python.parent / "activate").touch()
    python.unlink()
    assert install.environment(tmp_path, ROOT / "local" / "requirements.txt").exists()
    assert list(python.parent.iterdir()) == [python]


def test_a_work_folder_of_a_killed_process_is_removed_and_that_of_a_running_one_is_kept(tmp_path: Path) -> None:
    hold = (
        "import sys; from pathlib import Path; from local.install import work_folder\n"
        "with work_folder(Path(sys.argv[1]), 'installing') as folder:\n"
        "    (folder / 'file').touch(); print(folder, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path)]
    folders, processes = [], []
    for _ in range(2):
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        processes.append(process)
        folders.append(Path(process.stdout.readline().strip()))
    killed, running = processes
    killed.kill()
    killed.wait()
    with install.work_folder(tmp_path, "installing") as folder:
        assert set(tmp_path.iterdir()) == {folders[1], folder}
    running.communicate("")
    assert list(tmp_path.iterdir()) == []


def test_the_python_for_queries_knows_the_stores_of_the_running_stack_alone(tmp_path: Path) -> None:
    folder = tmp_path / "it's $HOME, \"so\\"
    (folder / "run").mkdir(parents=True)
    made = bootstrap(f"write_python {sys.executable}", LOCAL_DIR=str(folder))
    assert made.returncode == 0, made.stderr
    show = "import os; print({name: os.environ.get(name) for name in ('MONGODB_URI', 'S3_ENDPOINT', 'AWS_PROFILE', 'no_proxy')})"
    others = {"MONGODB_URI": "another", "S3_ENDPOINT": "another", "AWS_PROFILE": "work", "NO_PROXY": "example.com"}
    none = run(folder / "python", "-c", show, environment=others)
    assert none.returncode == 1
    assert none.stderr == "error: the local stack is not running: ./start.sh --local starts it\n"
    (folder / "run" / "stores.env").write_text("MONGODB_URI='this one'\n")
    there = run(folder / "python", "-c", show, environment=others)
    expected = {"MONGODB_URI": "this one", "S3_ENDPOINT": None, "AWS_PROFILE": None}
    assert there.stdout == f"{expected | {'no_proxy': 'example.com,127.0.0.1,localhost'}}\n", there.stderr
