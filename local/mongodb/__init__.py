"""The embedded MongoDB-compatible server of the local mode: mongo-java-server on the H2 file store."""
