"""s3proxy for other containers to reach, with the credentials that the real store would have."""

import os
from pathlib import Path

from local import s3proxy
from local.jars import path_of, read_list
from local.jvm import JAVA
from tests.compose.images import CACHE

if __name__ == "__main__":
    settings, data = Path("/tmp/s3"), Path("/data/s3")
    s3proxy.prepare(
        settings, data, "unused", 7070, os.environ["ROOT_ACCESS_KEY"], os.environ["ROOT_SECRET_KEY"], host="0.0.0.0"
    )
    command = s3proxy.command(JAVA, [path_of(jar, CACHE) for jar in read_list("s3proxy")], settings)
    os.execv(command[0], command)
