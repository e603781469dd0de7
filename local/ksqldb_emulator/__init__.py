"""A small emulator for a ksqlDB 8.3.1 server: it runs the statements of `ksqldb/` on Quix Streams."""
