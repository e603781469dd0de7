"""mongo-java-server for other containers to reach."""

import os

from local.jars import path_of, read_list
from local.mongodb.__main__ import main
from tests.compose.images import CACHE

if __name__ == "__main__":
    os.environ |= {
        "MONGODB_JARS": os.pathsep.join(str(path_of(jar, CACHE)) for jar in read_list("mongodb")),
        "MONGODB_HOST": "0.0.0.0",
        "MONGODB_PORT": "27017",
        "MONGODB_DATA": "/data/mongodb",
    }
    raise SystemExit(main())
