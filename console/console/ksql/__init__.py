"""A prompt for ksqlDB: statements in, tables and rows out, over the REST API alone."""
