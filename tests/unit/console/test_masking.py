"""Dead letters tell what is wrong, and nothing about a person."""

import json
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.dead_letters import DeadLetter, of_message
from console.masking import SHOWN_CHARACTERS, masked, transaction_id
from contracts.dead_letters import MASK, masked_reason
from contracts.models import User
from tests.support import samples
from tests.support.dead import dead_letter_headers
from tests.support.messages import Message

TRANSACTION_ID = "0b2c9a5e-7d0f-4a51-9a0e-3f1c2d4b5a69"
PERSONAL = [value for person in (samples.user(1), samples.user(2)) for value in person.values()]


def shows_nothing(text: str) -> bool:
    return not any(word in text for value in PERSONAL for word in value.split() if len(word) > 2)


def test_a_transactions_personal_data_is_masked_and_the_rest_is_readable() -> None:
    shown = masked(json.dumps(samples.raw(transaction_id=TRANSACTION_ID)).encode())
    assert shows_nothing(shown)
    read = json.loads(shown)
    for field, value in samples.raw(transaction_id=TRANSACTION_ID).items():
        harmless = field in ("transaction_id", "amount", "status", "evaluation", "transfer_date")
        assert harmless == (read[field] == value), field
    assert set(read["sender_details"]) == set(User.model_fields)
    assert set(read["sender_details"].values()) == {MASK}


def test_rows_are_masked_in_upper_case_too() -> None:
    row = {name.upper(): value for name, value in samples.user().items()} | {"SOURCE_PROCESS": "ksql"}
    shown = masked(json.dumps(row).encode())
    assert shows_nothing(shown)
    assert json.loads(shown)["SOURCE_PROCESS"] == "ksql"


@pytest.mark.parametrize(
    "broken",
    [
        json.dumps(samples.raw()).encode()[:-20],
        json.dumps(samples.raw()).encode().replace(b'"ssn"', b"ssn"),
        json.dumps(samples.raw()).encode()[1:],
        str(samples.raw()).encode(),
        ",".join(PERSONAL).encode(),
        json.dumps(samples.raw()).encode("utf-16"),
        json.dumps(samples.raw(), indent=1).encode() + b"\xff",
        json.dumps(PERSONAL).encode(),
        json.dumps(PERSONAL[1]).encode(),
        json.dumps(dict.fromkeys(PERSONAL, 1)).encode(),
        json.dumps(samples.raw(transaction_id="Name 1", status="Main St Town", evaluation="123-45-6781")).encode(),
        json.dumps(samples.raw(amount="123-45-6781")).encode(),
        json.dumps(samples.raw(padding="x" * 5_000_000)).encode(),
    ],
)
def test_what_broke_the_contract_shows_no_person(broken: bytes) -> None:
    assert shows_nothing(masked(broken).replace("\0", ""))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction_id", "123-45-6789"),
        ("transaction_id", "Alice-Miller"),
        ("transaction_id", "t1"),
        ("status", "alice"),
        ("evaluation", "bob_smith"),
        ("evaluation", "fraudulent_bob"),
        ("source_process", "alice-miller"),
        ("amount", "123456789"),
        ("amount", 4915550101),
        ("amount", "٤٢"),
        ("transfer_date", "1980-01-02 123456789"),
        ("transfer_date", "1980-01-02"),
    ],
)
def test_what_belongs_into_another_field_is_masked(field: str, value: object) -> None:
    for name in (field, field.upper()):
        assert list(json.loads(masked(json.dumps({name: value}).encode())).values()) == [MASK]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction_id", TRANSACTION_ID.upper()),
        ("evaluation", "unidentified"),
        ("source_process", "kafka-streams"),
        ("amount", "100.50"),
        ("amount", 0),
        ("transfer_date", "2026-11-24T05:00:00.123+00:00"),
        ("transfer_date", "2026-11-24 05:00:00Z"),
    ],
)
def test_what_is_as_it_should_be_is_shown(field: str, value: object) -> None:
    for name in (field, field.upper()):
        assert list(json.loads(masked(json.dumps({name: value}).encode())).values()) == [value]


def test_broken_json_keeps_the_contracts_names_for_orientation() -> None:
    assert masked(b'{"transaction_id": "t1", "ssn" : "123-45') == f'{{"transaction_id": "{MASK}", "ssn" : "{MASK}'


SECRET = st.text(string.ascii_letters + string.digits, min_size=6, max_size=12).map(lambda text: f"Zq{text}")


@given(
    secret=SECRET,
    make=st.sampled_from(
        [
            lambda secret: secret,
            lambda secret: {secret: secret},
            lambda secret: [[secret], {"a": {"name": secret}}],
            lambda secret: {"transaction_id": {"transaction_id": [secret]}},
        ]
    ),
    cut=st.integers(0, 5),
)
def test_a_secret_is_nowhere_seen(secret: str, make, cut: int) -> None:
    whole = json.dumps(make(secret)).encode()
    assert secret not in masked(whole[: len(whole) - cut])


def test_what_is_shown_is_bounded() -> None:
    assert len(masked(b"[" + b"1," * 3_000_000)) <= SHOWN_CHARACTERS * 2
    assert len(masked(json.dumps([1] * 5_000).encode())) <= SHOWN_CHARACTERS + 2
    assert masked(b"[" * 10_000)


def dead_letter(headers: dict[str, bytes | None], value: bytes = b"{}", size: int | None = None) -> DeadLetter:
    made = of_message(Message("a-dlq", 0, value), [*headers.items()])
    return made if size is None else replace(made, size=size)


def test_our_own_dead_letters_say_why_and_where_from() -> None:
    headers = dict(dead_letter_headers(None, "amount: is missing", "bank-transactions", 3, 17, "transactions-ingestor"))
    about = dead_letter(headers)
    assert (about.reason, about.source) == ("amount: is missing", "bank-transactions / 3 @ 17")


def test_connects_dead_letters_are_told_without_what_they_quote() -> None:
    about = dead_letter(
        {
            "__connect.errors.topic": b"users",
            "__connect.errors.partition": b"1",
            "__connect.errors.offset": b"9",
            "__connect.errors.exception.class.name": b"org.apache.kafka.connect.errors.DataException",
            "__connect.errors.exception.message": b"E11000 dup key: { email: \"u1@example.org\" } for 'Name 1'",
        },
        size=4_000,
    )
    assert about.source == "users / 1 @ 9"
    assert about.reason == f"DataException: E{MASK} dup key: {{ email: {MASK} }} for {MASK}"
    assert about.record == "{} (4,000 bytes in all)"


def test_a_dead_letter_without_headers() -> None:
    about = dead_letter({})
    assert (about.reason, about.source) == ("not given", "not given")


@pytest.mark.parametrize(
    "telling",
    [
        "call +1-555-0101 now",
        "u1@example.org",
        'token "John"',
        "card 4111111111111111",
        "2024-01-01 12.00.00,John@example.org",
    ],
)
def test_reasons_are_masked(telling: str) -> None:
    shown = masked_reason(telling)
    assert MASK in shown
    assert not any(word in shown for word in ("555", "example", "John", "4111"))


def test_the_longest_reason_takes_no_time_to_mask() -> None:
    """Any pattern that tries again at each character would need hours for this."""
    assert masked_reason("x" * 500_000) == "x" * 300
    assert masked_reason("x" * 500_000 + "@example.org now") == f"{MASK} now"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b'{"transaction_id": "4f9c1a1e-3e9b-4b57-8b4d-1f2d3c4b5a69", "amount": "much"}', True),
        (b'{"TRANSACTION_ID":"4f9c1a1e-3e9b-4b57-8b4d-1f2d3c4b5a69"', True),
        (b'{"transaction_id": "Ann Smith"}', False),
        (b'{"ssn": "4f9c1a1e-3e9b-4b57-8b4d-1f2d3c4b5a69"}', False),
        (b"\xff", False),
    ],
)
def test_an_id_is_taken_from_a_record_only_if_it_can_be_nothing_else(value: bytes, found: bool) -> None:
    assert transaction_id(value) == ("4f9c1a1e-3e9b-4b57-8b4d-1f2d3c4b5a69" if found else "")
