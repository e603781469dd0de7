"""A stand-in for the third-party fraud-validator-api: the same wire contract, with a verdict that tests can foretell."""
