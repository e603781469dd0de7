"""Makes an environment of pinned Python packages, once, in the user's cache. Runs on any Python 3.11, before there is a package.

`install.py CACHE REQUIREMENTS [PYTHON]` prints the path of the environment's Python; progress and errors go to stderr. PYTHON is
one that will do where the environment is not there.
uv downloads in parallel and takes a tenth of pip's time. pip fetches uv, with the user's own index, proxy and certificates,
and installs the packages itself where uv cannot. Both check every hash.
"""

import ast
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

INSTALLER = Path(__file__).parent / "installer" / "requirements.txt"
PINNED = ("--require-hashes", "--only-binary", ":all:")
# pip's settings, as options of uv. Those of the second group are lists.
OPTIONS = {"index-url": "--index-url", "cert": "--cert"}
LISTS = {"extra-index-url": "--extra-index-url", "find-links": "--find-links", "trusted-host": "--allow-insecure-host"}
ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
# Lines of pip and uv that show that it goes on.
PROGRESS = re.compile(r" *(Downloading uv-|Downloaded |Resolved |Installed )")
Command = list[str | Path]
NETWORK = re.compile("Retrying|ConnectionError|Temporary failure|timed out")


class Failed(Exception):
    """Its text is one line for the user."""


@contextmanager
def work_folder(cache: Path, prefix: str) -> Iterator[Path]:
    """A folder in the cache while it is needed. What killed processes left behind is removed: they no longer hold its lock."""
    for left in cache.glob(f"{prefix}.*"):
        with suppress(OSError), _locked(left):
            shutil.rmtree(left)
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}.", dir=cache))
    with _locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def environment(cache: Path, requirements: Path, instead: Path | None = None) -> Path:
    """The Python that has these packages, or `instead` where these would have to be installed. Raises Failed."""
    folder = folder_of(cache, requirements)
    if not (folder / "bin" / "python").exists():
        if instead is not None and instead.exists():
            return instead
        _check(cache)
        with (
            work_folder(cache, "installing") as work,
            _downloads(cache, work) as downloads,
            (cache / "pip.log").open("w", encoding="utf-8", errors="replace") as log,
        ):
            name = f"{requirements.parent.name}/{requirements.name}"
            sys.stderr.write(f"installing the Python packages of {name}, once (about 420 MB in {cache})\n")
            _install(requirements, work, downloads, log)
            # Written to the disk before it has its name: after a power cut it is whole or not there.
            os.sync()
            try:
                (work / "environment").rename(folder)
            except OSError:
                if not (folder / "bin" / "python").exists():  # else another start was quicker
                    shutil.rmtree(folder, ignore_errors=True)  # a part of it was removed
                    (work / "environment").rename(folder)
            shutil.rmtree(downloads, ignore_errors=True)
    return folder / "bin" / "python"


def folder_of(cache: Path, requirements: Path) -> Path:
    """The environment's folder, named by what is in it: all clones have one, whatever environment the shell is in."""
    content = sys.version.encode() + sys.base_prefix.encode() + requirements.read_bytes()
    return cache / f"python-{hashlib.sha256(content).hexdigest()[:16]}"


def pip_settings(listing: str) -> dict[str, str]:
    """The settings of `pip config list`; those of a command stand above the global ones, and the environment above both."""
    settings: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for section, name, value in re.findall(r"^(global|install|:env:)\.([\w-]+)=(.*)$", listing, re.MULTILINE):
        settings[section][name] = ast.literal_eval(value)
    return settings["global"] | settings["install"] | settings[":env:"]


def uv_options(settings: dict[str, str]) -> list[str]:
    """pip's settings as arguments of `uv pip install`."""
    options = [f"{option}={settings[name]}" for name, option in OPTIONS.items() if name in settings]
    options += [f"{option}={one}" for name, option in LISTS.items() for one in settings.get(name, "").split()]
    # As pip does: no project's settings, the system's certificates, all indexes equal (a hash says which file is meant).
    options += ["--no-config", "--system-certs", "--index-strategy=unsafe-best-match"]
    return options + (["--no-index"] if settings.get("no-index", "") in ("1", "true", "yes", "on") else [])


def why_failed(log: str) -> str:
    """What went wrong, of a log's many lines."""
    if NETWORK.search(log):
        return "the Python packages could not be downloaded: check the network, or the proxy, and start again"
    errors = [line for line in log.splitlines() if line.lower().startswith("error")]
    return f"the Python packages could not be installed: {errors[-1] if errors else 'no reason was given'}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Raises BlockingIOError when another process holds it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextmanager
def _downloads(cache: Path, work: Path) -> Iterator[Path]:
    """A folder for uv's downloads, which outlive an installation that the network ended. The second of two has its own."""
    kept = cache / "uv"
    kept.mkdir(exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(kept))
        except BlockingIOError:
            kept = work / "uv"
        try:
            yield kept
        finally:
            with suppress(OSError):  # where there is something in it
                kept.rmdir()


def _check(cache: Path) -> None:
    if ":" in str(cache):
        raise Failed(f"{cache} has a colon, at which Java would cut it: set XDG_CACHE_HOME to a folder without one")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        (cache / "pip.log").touch()
    except OSError:
        raise Failed(
            f"nothing can be written in {cache}, where the downloads go: set XDG_CACHE_HOME to a folder of your own"
        ) from None


def _install(requirements: Path, work: Path, downloads: Path, log: TextIO) -> None:
    for name, options in (("installer", ()), ("environment", ("--without-pip",))):
        if _failure([sys.executable, "-m", "venv", *options, work / name], log) is not None:
            raise Failed(
                f"{sys.executable} cannot make a virtual environment: install its venv module "
                "(on Debian and Ubuntu: apt install python3-venv)"
            )
    programs, python = work / "installer" / "bin", work / "environment" / "bin" / "python"
    pip: Command = [programs / "python", "-m", "pip", "--disable-pip-version-check"]
    failure = _failure([*pip, "install", *PINNED, "-r", INSTALLER], log)
    if failure is None:
        listing = subprocess.run([*pip, "config", "list"], check=False, capture_output=True, text=True).stdout
        settings = pip_settings(listing)
        uv: Command = [
            programs / "uv",
            "pip",
            "install",
            "--python",
            python,
            "--cache-dir",
            downloads,
            *uv_options(settings),
        ]
        proxy = {name: settings["proxy"] for name in ("HTTP_PROXY", "HTTPS_PROXY") if "proxy" in settings}
        failure = _failure([*uv, *PINNED, "-r", requirements], log, proxy)
    if failure is not None and not NETWORK.search(failure):
        _say("uv cannot install them here: pip does, which takes longer")
        failure = _failure([*pip, "--python", python, "install", *PINNED, "-r", requirements], log)
    if failure is not None:
        if not NETWORK.search(failure):
            shutil.rmtree(downloads, ignore_errors=True)
        raise Failed(f"{why_failed(failure)} (the whole story is in {log.name})")


def _failure(command: Command, log: TextIO, variables: Mapping[str, str] | None = None) -> str | None:
    """None when it succeeded, else what it printed. The log gets that in any case."""
    output: list[str] = []
    with subprocess.Popen(
        command,
        # Whatever the user's other packages go to, these go to this environment.
        env={
            **_without(os.environ, *ELSEWHERE),
            "PIP_USER": "0",
            "NO_COLOR": "1",
            **(variables or {}),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            output.append(line)
            log.write(line)
            log.flush()
            if PROGRESS.match(line):
                _say(line.strip())
    return "".join(output) if process.returncode else None


def _without(variables: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in names}


def _say(line: str) -> None:
    sys.stderr.write(f"[{time.monotonic() - STARTED:6.1f} s] {line}\n")


STARTED = time.monotonic()

if __name__ == "__main__":
    try:
        sys.stdout.write(f"{environment(*map(Path, sys.argv[1:]))}\n")
    except Failed as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: the Python packages could not be installed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
