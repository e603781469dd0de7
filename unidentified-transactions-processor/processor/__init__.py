"""Asks the validator about every unidentified transaction and keeps the fraudulent ones, exactly once."""
