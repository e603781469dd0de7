"""Simulates the third-party fraud-validator-api: the same wire contract, with a verdict that tests can compute."""
