"""The local mode's embedded parts in containers."""

from pathlib import Path

# Where the image has the jars.
CACHE = Path("/cache")
JAR_LISTS = ("mongodb", "s3proxy")
