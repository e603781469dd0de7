"""The page of one transaction in a real browser, with the stack running."""

import json
import re
import uuid

import pytest
from axe_playwright_python.sync_playwright import Axe
from confluent_kafka import Producer
from playwright.sync_api import Page, expect

from contracts import topics
from tests.console.conftest import PATIENCE_MS, SENT
from tests.console.test_page import await_rows
from tests.support import samples
from tests.support.expectation import expectation
from tests.support.stack import Stack
from tests.support.topics import read_all

pytestmark = pytest.mark.timeout(3 * PATIENCE_MS / 1000)


def open_page(stack: Stack, page: Page, identity: str) -> None:
    page.goto(f"{stack.settings.console_url}/transaction/{identity}")


def summary(page: Page, text: str) -> None:
    expect(page.locator("header").get_by_role("status")).to_contain_text(text)


def names(page: Page) -> list[str]:
    table = page.get_by_role("table", name="Stages", exact=True)
    expect(table).to_be_visible()
    return table.locator('tbody td[data-label="Stage"]').all_inner_texts()


@pytest.mark.parametrize("visit", [("light", 1440), ("dark", 390)], indirect=True, ids=str)
def test_a_row_leads_to_its_transaction(stack: Stack, page: Page) -> None:
    await_rows(stack)
    first = page.get_by_role("table", name="The newest frauds").locator("tbody tr").first
    identity = first.get_attribute("data-key") or ""
    first.get_by_role("link", name=identity).click()
    expect(page).to_have_url(f"{stack.settings.console_url}/transaction/{identity}")
    row = expectation(SENT).results[identity]
    decided = "bank" if row.SOURCE_PROCESS == "ksql" else "validator"
    summary(page, f"Fraudulent, found by the {decided}")
    passed = names(page)
    assert passed[:2] == ["received", "routed"]
    assert passed[-2:] == ["stored in MongoDB", "stored in S3"]
    (result,) = (
        one for one in read_all(stack.kafka, topics.FRAUDULENT_TRANSACTIONS_RESULT) if one.key == identity.encode()
    )
    where = f"{topics.FRAUDULENT_TRANSACTIONS_RESULT} / {result.partition} @ {result.offset}"
    expect(page.get_by_text(where)).to_be_visible()
    expect(page.get_by_text(expectation(SENT).users[row.SENDER_ID].NAME)).to_have_count(0)
    faults = Axe().run(page).response["violations"]
    assert [fault["id"] for fault in faults if fault["impact"] in ("serious", "critical")] == [], json.dumps(faults)
    page.get_by_role("link", name="Raw JSON").click()
    assert json.loads(page.locator("body").inner_text())["id"] == identity


def test_the_id_can_be_copied(stack: Stack, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await_rows(stack)
    identity = min(expectation(SENT).results)
    open_page(stack, page, identity)
    page.get_by_role("button", name="Copy id").click()
    page.wait_for_function("async id => await navigator.clipboard.readText() == id", arg=identity)


def test_a_dead_letter_leads_to_its_transaction(stack: Stack, page: Page) -> None:
    identity = str(uuid.uuid4())
    producer = Producer({"bootstrap.servers": stack.kafka, "enable.idempotence": True})
    producer.produce(topics.BANK_TRANSACTIONS, json.dumps(samples.raw(transaction_id=identity, evaluation="so-so")))
    assert producer.flush(30) == 0
    section = page.locator("section", has=page.get_by_role("heading", name="Dead letters", exact=True))
    section.get_by_role("button", name=re.compile("Show all")).last.click()  # the table is shown on demand
    table = page.get_by_role("table", name="The latest dead letters")
    table.get_by_role("link", name=identity).click()
    summary(page, f"Dead letter on {topics.BANK_TRANSACTIONS_DLQ}: evaluation")
    assert names(page) == ["received", "dead letter"]


def test_an_id_that_no_record_has(stack: Stack, page: Page) -> None:
    open_page(stack, page, "nobody")
    summary(page, "No transaction nobody is among the records that Kafka holds")
    expect(page.get_by_role("table")).to_have_count(0)


def test_the_tile_says_what_waits(stack: Stack, page: Page) -> None:
    await_rows(stack)
    expect(page.locator(".tiles .waiting")).to_have_text("nothing is waiting")
    expect(page.locator(".tiles .waiting")).not_to_have_class(re.compile("bad"))
