"""Values in Java's properties files, read back by Java itself."""

import subprocess
from pathlib import Path

import pytest

from local import broker, properties
from local.jvm import JAVA, list_entry
from local.settings import ROOT, Folders, MongoTarget, Ports, S3Target, Settings
from runtime.errors import UserError

UNUSUAL = [
    "/home/Jörg/Betrugserkennung",
    "/srv/данные/😀",
    "/with space/ and more ",
    " begins with a space",
    "C:\\new\\table",
    "#!=: {$HOME} \"'%41&;*",
    "a\ttab and\na line break",
]


def test_java_reads_what_was_meant(tmp_path: Path) -> None:
    """`java` reads its security file as a properties file, and prints it when asked to."""
    values = {f"fraud.{number}": value for number, value in enumerate(UNUSUAL)}
    file = tmp_path / "some.properties"
    file.write_text(properties.to_text(values), encoding="ascii")
    java = [str(JAVA), "-Dstderr.encoding=UTF-8", f"-Djava.security.properties={file}"]
    shown = subprocess.run(
        [*java, "-XshowSettings:security:properties", "-version"], check=True, capture_output=True, encoding="utf-8"
    ).stderr
    for key, value in values.items():
        assert f"{key}={value}\n" in shown, key


def own(base: Path) -> Settings:
    nowhere = S3Target(None, "", "", "", "", "")
    return Settings(Ports(), Folders(base, base / "cache"), MongoTarget("", embedded=False), nowhere)


def test_a_folder_of_the_clone_is_named_without_the_clone_s_path() -> None:
    """Kafka cuts its lists at commas, and there is no way to write one."""
    settings = own(ROOT / ".local")
    assert "log.dirs=.local/data/kafka\n" in broker.properties(settings, settings.brokers[0])


def test_another_folder_with_a_comma_is_refused() -> None:
    with pytest.raises(UserError, match="/srv/Doe, John/data has a comma"):
        list_entry(Path("/srv/Doe, John/data"))
    assert list_entry(Path("/srv/Jörg/data")) == "/srv/Jörg/data"
