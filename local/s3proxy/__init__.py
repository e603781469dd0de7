"""The embedded S3-compatible server of the local mode: s3proxy, which keeps every object as a plain file."""

import os
from collections.abc import Sequence
from pathlib import Path

from local import files
from local.properties import to_text

# `filesystem-nio2` and not `filesystem-jclouds`: the project recommends it, and it refuses names that leave the bucket.
_SETTINGS = {"s3proxy.authorization": "aws-v2-or-v4", "jclouds.provider": "filesystem-nio2"}

# Without this file logback writes every request at DEBUG.
_LOGGING = """\
<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %-5level %logger{20}: %msg%n</pattern></encoder>
  </appender>
  <logger name="org.gaul.s3proxy.Main" level="INFO"/>
  <root level="WARN"><appender-ref ref="STDOUT"/></root>
</configuration>
"""

# It lists a whole prefix in memory, 300 bytes per object: 100,000 are a day's at 10 transactions/s. The room for new objects is
# soon used as a whole: a third of the heap, the default, would be 20 MiB more. The last option only silences a warning about
# one of its libraries.
_JVM_OPTIONS = (
    "-Xmx96m",
    "-Xmn8m",
    "-XX:TrimNativeHeapInterval=60000",  # ms; gives back what the compiler is done with, 8 MiB
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "--sun-misc-unsafe-memory-access=allow",
)


def prepare(
    settings_dir: Path,
    data_dir: Path,
    bucket: str,
    port: int,
    access_key: str,
    secret_key: str,
    host: str = "127.0.0.1",
) -> None:
    """Writes s3proxy.conf and logback.xml and makes the bucket, which to this server is a directory.

    The settings hold the secret key, so only the owner can read them.
    """
    settings_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / bucket).mkdir(parents=True, exist_ok=True)
    # A bucket that others may read on disk is public to this server: requests without credentials would be answered.
    (data_dir / bucket).chmod(0o700)
    settings = _SETTINGS | {
        "s3proxy.endpoint": f"http://{host}:{port}",
        "s3proxy.identity": access_key,
        "s3proxy.credential": secret_key,
        "jclouds.filesystem.basedir": data_dir.resolve(),
    }
    files.write(settings_dir / "s3proxy.conf", to_text(settings), mode=0o600)
    (settings_dir / "logback.xml").write_text(_LOGGING)


def command(java: Path, jars: Sequence[Path], settings_dir: Path) -> list[str]:
    """The command that runs the server in the foreground.

    `jars` in the order of local/jars/s3proxy.txt: with any other jackson-annotations before 2.21 it does not start.
    """
    return [
        str(java),
        *_JVM_OPTIONS,
        f"-Dlogback.configurationFile={(settings_dir / 'logback.xml').absolute().as_uri()}",
        "-cp",
        os.pathsep.join(map(str, jars)),
        "org.gaul.s3proxy.Main",
        "--properties",
        str(settings_dir / "s3proxy.conf"),
    ]
