"""The verdict: a pure function of the transaction id."""

import hashlib


def is_fraudulent(transaction_id: str, share: float) -> bool:
    """True for about `share` of all ids, and always the same answer for one id."""
    digest = hashlib.sha256(transaction_id.encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2**64
