"""Fetches the pinned jars once into the user's cache. A jar is kept under its SHA-256, so a file that is there is right."""

import hashlib
import os
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event, local
from typing import Any, NamedTuple

import requests
import truststore
from requests.adapters import HTTPAdapter

from local.install import work_folder
from runtime.errors import UserError

LISTS = Path(__file__).parent / "jars"
PARALLEL_DOWNLOADS = 16
# Seconds before a download is tried again: among hundreds, one fails now and then.
PAUSES = (1, 3, 10)
TIMEOUT_SECONDS = 30
PROGRESS_SECONDS = 0.5
CHUNK = 64 * 1024

_thread = local()


class Jar(NamedTuple):
    """A Maven artifact and the SHA-256 that its file must have."""

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str

    @property
    def filename(self) -> str:
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{classifier}.jar"


def read_list(name: str | Path) -> list[Jar]:
    """The jars of `local/jars/<name>.txt`, or of another list by its path, in the order of the class path."""
    jars = []
    for line in (LISTS / f"{name}.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            coordinates, sha256 = line.split()
            group, artifact, version, *classifier = coordinates.split(":")
            jars.append(Jar(group, artifact, version, classifier[0] if classifier else "", sha256))
    return jars


def path_of(jar: Jar, cache: Path) -> Path:
    """Where the jar is once it has been fetched."""
    return cache / "jars" / jar.sha256 / jar.filename


def fetch(jars: Iterable[Jar], cache: Path, progress: Callable[[int, int], None]) -> None:
    """Download what the cache lacks; `progress` is told (done, wanted), and what it raises ends the downloads.

    Raises UserError that names the first failure.
    """
    missing = [jar for jar in dict.fromkeys(jars) if not path_of(jar, cache).exists()]
    if not missing:
        return
    cache.mkdir(parents=True, exist_ok=True)
    progress(0, len(missing))
    # Downloads land in a folder on the same disk and are moved when they are right: an interrupted start leaves no half jar.
    stopping = Event()
    with work_folder(cache, "fetching") as folder, ThreadPoolExecutor(PARALLEL_DOWNLOADS) as executor:
        left = {executor.submit(_fetch_one, jar, cache, folder, stopping) for jar in missing}
        try:
            while left:
                done, left = wait(left, PROGRESS_SECONDS, FIRST_COMPLETED)
                for one in done:
                    one.result()
                progress(len(missing) - len(left), len(missing))
        finally:
            stopping.set()
            executor.shutdown(wait=False, cancel_futures=True)


def _fetch_one(jar: Jar, cache: Path, folder: Path, stopping: Event) -> None:
    name = f"{jar.group}:{jar.artifact}:{jar.version}"
    for pause in (*PAUSES, None):
        try:
            content = _download(jar, stopping)
            break
        except OSError as error:  # those of requests are
            if pause is None or stopping.is_set():
                raise UserError(
                    f"{name} could not be fetched from Maven Central ({type(error).__name__}: {error}): "
                    "check the network and start again, what is already there is kept"
                ) from error
            stopping.wait(pause)
    actual = hashlib.sha256(content).hexdigest()
    if actual != jar.sha256:
        raise UserError(f"{name} has the SHA-256 {actual}, not {jar.sha256}: it is not the file that was pinned")
    target = path_of(jar, cache)
    target.parent.mkdir(parents=True, exist_ok=True)
    file = folder / jar.sha256
    with file.open("wb") as output:
        output.write(content)
        output.flush()
        os.fsync(output.fileno())  # a power cut must not leave an empty file under a name that says what is in it
    file.replace(target)


def _download(jar: Jar, stopping: Event) -> bytes:
    # It takes a quarter of a second to import, and only a first start needs it.
    from jgo.constants import MAVEN_CENTRAL_URL

    # A connection for each thread, and one request for each jar: jgo itself makes two, each with a connection of its own.
    if not hasattr(_thread, "session"):
        _thread.session = requests.Session()
        _thread.session.mount("https://", _SystemCertificates())
    url = f"{MAVEN_CENTRAL_URL}/{jar.group.replace('.', '/')}/{jar.artifact}/{jar.version}/{jar.filename}"
    content = bytearray()
    with _thread.session.get(url, timeout=TIMEOUT_SECONDS, stream=True) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_content(CHUNK):
            if stopping.is_set():
                raise OSError("interrupted")
            content += chunk
    return bytes(content)


class _SystemCertificates(HTTPAdapter):
    """Trusts what this system trusts, such as a company's proxy; requests alone trusts its own list of authorities."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, ssl_context=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
