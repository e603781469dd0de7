"""The archiver's metrics."""

from prometheus_client import Counter

WRITTEN = {
    "rows": Counter("archiver_rows", "Rows written to S3 and committed"),
    "objects": Counter("archiver_objects", "Objects written to S3 and committed"),
    "dead_letters": Counter("archiver_dead_letters", "Records that were not valid rows"),
}
