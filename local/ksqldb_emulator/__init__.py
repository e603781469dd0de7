"""A small emulator of a ksqlDB 8.3.1 server: it runs the statements of `ksqldb/`, each query in Kafka transactions."""
