"""Simulates the third-party multi-bank-system: the same messages under the same environment variables."""
