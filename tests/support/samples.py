"""A transaction that passes, to be changed by the tests."""

from typing import Any

from contracts.models import Transaction


def user(number: int = 1) -> dict[str, Any]:
    """A customer."""
    return {
        "id": f"u{number}",
        "name": f"Name {number}",
        "address": "1 Main St\nTown",
        "email": f"u{number}@example.org",
        "birthdate": "1980-01-02",
        "phone_number": "+1-555-0101",
        "job": "Engineer",
        "company": "O'Hara and Sons",
        "ssn": f"123-45-678{number}",
        "blood_group": "AB-",
        "website": "https://example.org/",
        "username": f"user{number}",
        "bank_account": f"GB0{number}",
    }


def raw(**changes: Any) -> dict[str, Any]:
    """A transaction as the bank sends it."""
    transaction = {
        "transaction_id": "t1",
        "sender_bank_account": "GB01",
        "sender_details": user(1),
        "receiver_bank_account": "GB02",
        "receiver_details": user(2),
        "amount": 100.5,
        "status": "completed",
        "evaluation": "fraudulent",
        "transfer_date": "2026-11-24T05:00:00",
        "sender_bank": "Bank A",
    }
    return {**transaction, **changes}


def transaction(**changes: Any) -> Transaction:
    """The same as the contract's model."""
    return Transaction.model_validate(raw(**changes))
