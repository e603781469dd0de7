"""The settings of the embedded S3 server."""

import stat
from pathlib import Path

from local.s3proxy import command, prepare


def test_the_secret_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    for _ in range(2):  # a second start writes over the first one's files
        prepare(tmp_path / "conf", tmp_path / "data", "bucket", 9000, "key", "secret")
    settings = tmp_path / "conf" / "s3proxy.conf"
    assert "s3proxy.credential=secret\n" in settings.read_text()
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600


def test_the_bucket_is_not_public(tmp_path: Path) -> None:
    prepare(tmp_path / "conf", tmp_path / "data", "bucket", 9000, "key", "secret")
    assert stat.S_IMODE((tmp_path / "data" / "bucket").stat().st_mode) == 0o700


def test_the_secret_is_not_on_the_command_line_and_the_jars_keep_their_order(tmp_path: Path) -> None:
    prepare(tmp_path / "conf", tmp_path / "data", "bucket", 9000, "key", "s3cret-key")
    line = command(Path("java"), [Path("b.jar"), Path("a.jar")], tmp_path / "conf")
    assert "s3cret-key" not in " ".join(line)
    assert "b.jar:a.jar" in line
