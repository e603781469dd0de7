"""`python -m console.ksql [STATEMENT]`: the prompt, or one statement. Environment: KSQLDB_URL."""

import os
import sys
import tempfile
from pathlib import Path

from console.ksql.prompt import main

if __name__ == "__main__":
    sys.exit(
        main(
            os.environ.get("KSQLDB_URL") or "http://localhost:8088",
            Path(tempfile.gettempdir(), "ksql-history"),
            sys.argv[1] if len(sys.argv) > 1 else None,
        )
    )
