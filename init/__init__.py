"""One-time setup from outside the services: topics, ksqlDB statements, connectors, indexes, the bucket."""

import sys
from importlib.util import find_spec

if not all(map(find_spec, ("confluent_kafka", "lark", "pydantic_settings", "requests"))):
    sys.exit(
        f"error: {sys.executable} lacks this project's packages; run ./start.sh --local once, then set PYTHON=.local/python"
    )
