"""The local mode: the whole pipeline as plain processes, without Docker and without an account."""
