"""The page in a real browser, with the stack running."""

import json
import re
import uuid
from contextlib import suppress
from itertools import pairwise, product

import psutil
import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from confluent_kafka import Producer
from playwright.sync_api import Locator, Page, expect

from contracts import topics
from runtime import services
from tests.console.conftest import PATIENCE_MS, SCREENSHOTS, SENT
from tests.support import samples
from tests.support.expectation import expectation
from tests.support.stack import Stack, wait_until
from tests.support.topics import read_all

pytestmark = pytest.mark.timeout(3 * PATIENCE_MS / 1000)  # no wait inside the browser may be without end
LOOKS = list(product(("light", "dark"), (1440, 390)))
SECONDS = PATIENCE_MS / 1000
# Each restart waits longer than the one before: after so many it takes longer than the console needs to look.
KILLS = 4


def state(stack: Stack) -> dict:
    answer = requests.get(f"{stack.settings.console_url}/api/state", timeout=10)
    answer.raise_for_status()
    return answer.json()


def cell(page: Page, table: str, row: str, column: str) -> Locator:
    return page.get_by_role("table", name=table, exact=True).locator(f'tr[data-key="{row}"] td[data-label="{column}"]')


def node(page: Page, name: str) -> Locator:
    return page.locator(f'.flow [data-node="{name}"]')


def verdict(page: Page) -> Locator:
    return page.locator("header").get_by_role("status")


def await_rows(stack: Stack) -> None:
    wanted = len(expectation(SENT).results)
    wait_until(
        lambda: state(stack)["topics"][topics.FRAUDULENT_TRANSACTIONS_RESULT]["records"] == wanted, SECONDS, "all rows"
    )


def test_totals_are_those_of_the_topics(stack: Stack, page: Page) -> None:
    await_rows(stack)
    for name in topics.ALL:
        count = len(read_all(stack.kafka, name))
        expect(cell(page, "Topics", name, "Records")).to_have_text(f"{count:,}")
        expect(node(page, name)).to_contain_text(f"{count:,} · ")
    assert state(stack)["topics"][topics.BANK_TRANSACTIONS]["records"] == SENT.count
    expect(node(page, topics.BANK_TRANSACTIONS_DLQ)).to_have_class(re.compile("bad"))
    expect(node(page, topics.MONGODB_SINK_DLQ)).not_to_have_class(re.compile("bad"))


def test_a_stack_that_is_well_says_so(stack: Stack, page: Page) -> None:
    expect(verdict(page)).to_have_text("● Everything is healthy")
    up = (services.INGESTOR, services.PROCESSOR, services.KSQLDB, services.VALIDATOR, "MongoDB", "S3")
    for name in (*up, services.KAFKA, services.KAFKA_CONNECT, services.WATCHDOG):
        expect(node(page, name)).to_contain_text("● up")
    for name in (services.BANK, services.WATCHDOG, services.MONGODB, services.S3):
        expect(cell(page, "Health", name, "State")).to_have_text("● up")
    expect(cell(page, "Health", "disk", "State")).to_have_text("● has space")
    for group, topic in ((services.INGESTOR, topics.BANK_TRANSACTIONS), ("connect-mongodb-users", topics.USERS)):
        expect(cell(page, "Consumer groups", f"{group} {topic}", "Lag")).to_have_text("0")
    expect(page.get_by_role("table", name="Queries").get_by_text("● RUNNING")).to_have_count(3)
    said = json.loads(stack.await_healthy("--json").stdout)
    assert said["healthy"] is True
    assert said["processes"]["kafka"]["pid"] == stack.pid_of("kafka")
    assert said["topics"][topics.BANK_TRANSACTIONS]["records"] == SENT.count


def test_metrics_of_the_console(stack: Stack) -> None:
    await_rows(stack)
    lines = {
        f'kafka_topic_records_total{{topic="{topics.BANK_TRANSACTIONS}"}} {SENT.count}.0',
        'kafka_consumergroup_members{group="transactions-ingestor"} 1.0',
        'kafka_connect_task_state{connector="mongodb-users",state="running",task="0"} 1.0',
        "validator_up 1.0",
        'service_up{service="unidentified-transactions-processor"} 1.0',
    }

    def text() -> str:
        return requests.get(f"{stack.settings.console_url}/metrics", timeout=10).text

    wait_until(lambda: lines <= set(text().splitlines()), SECONDS, f"these are among the metrics: {lines}")
    assert re.search(r"^fraud_end_to_end_seconds_count [1-9]", text(), re.M)


def test_the_newest_frauds_name_people(stack: Stack, page: Page) -> None:
    await_rows(stack)
    expected = expectation(SENT)
    table = page.get_by_role("table", name="The newest frauds")
    first = table.locator("tbody tr").first
    expect(first).to_be_visible()
    result = expected.results[first.locator('[data-label="Transaction"]').inner_text()]
    expect(first.locator('[data-label="Sender"]')).to_have_text(expected.users[result.SENDER_ID].NAME)
    expect(first.locator('[data-label="Receiver"]')).to_have_text(expected.users[result.RECEIVER_ID].NAME)
    expect(first.locator('[data-label="Amount"]')).to_have_text(f"{result.AMOUNT:,.2f}")
    expect(first.locator('[data-label="Bank"]')).to_have_text(result.SENDER_BANK)
    expect(first.locator('[data-label="Found by"]')).to_have_text(
        {"ksql": "bank (ksql)", "kafka-streams": "validator (kafka-streams)"}[result.SOURCE_PROCESS]
    )
    expect(table.locator("tbody tr")).to_have_count(8)
    page.locator("section", has=table).get_by_role("button", name="Show all 50").click()
    expect(table.locator("tbody tr")).to_have_count(50)


def test_search(stack: Stack, page: Page) -> None:
    await_rows(stack)
    expected = expectation(SENT)
    wanted = next(iter(expected.results.values()))
    sender = expected.users[wanted.SENDER_ID]
    of_sender = [one for one in expected.results.values() if sender.ID in (one.SENDER_ID, one.RECEIVER_ID)]
    table = page.get_by_role("table", name="What was found")
    heading = page.get_by_role("heading", name="What was found")
    expect(heading).to_be_hidden()
    looked = len(expected.results) * 3  # a row and two users each
    for text in (wanted.TRANSACTION_ID, wanted.SENDER_BANK_ACCOUNT, sender.ID, sender.NAME.upper()):
        page.get_by_role("textbox", name="Transaction, account or user").fill(text)
        page.keyboard.press("Enter")
        expect(page.get_by_text(f"for “{text}” in {looked:,} records.")).to_be_visible()
        expect(table.locator(f'tr[data-key="{wanted.TRANSACTION_ID}"]')).to_contain_text(sender.NAME)
        expect(heading).to_be_visible()
        if text == sender.ID:
            expect(table.locator("tbody tr")).to_have_count(min(len(of_sender), 8))
    page.get_by_role("textbox", name="Transaction, account or user").fill("nobody at all")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("0 frauds found for “nobody at all”")).to_be_visible()
    expect(table).to_be_hidden()
    expect(heading).to_be_hidden()
    way = page.get_by_role("link", name="What became of the transaction with this id")
    expect(way).to_be_hidden()
    honest = min(expected.honest)
    page.get_by_role("textbox", name="Transaction, account or user").fill(honest)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"0 frauds found for “{honest}”")).to_be_visible()
    way.click()
    expect(page).to_have_url(f"{stack.settings.console_url}/transaction/{honest}")
    expect(page.locator("header").get_by_role("status")).to_contain_text("Honest")


def test_times_have_their_day_and_zone(stack: Stack, page: Page) -> None:
    await_rows(stack)
    when = page.get_by_role("table", name="The newest frauds").locator('td[data-label="When"]').first
    expect(when).to_have_text(re.compile(r"^\d+ \w+,? \d\d:\d\d:\d\d \S+$|^\w+ \d+, \d\d:\d\d:\d\d \S+$"))


@pytest.mark.long
def test_a_paused_page_stands_still_but_for_what_is_wrong(stack: Stack, page: Page) -> None:
    await_rows(stack)
    totals = cell(page, "Topics", topics.BANK_TRANSACTIONS_DLQ, "Records")
    before = state(stack)["topics"][topics.BANK_TRANSACTIONS_DLQ]["records"]
    expect(totals).to_have_text(f"{before:,}")
    page.get_by_role("button", name="Pause").click()
    resume = page.get_by_role("button", name="Resume")
    expect(resume).to_be_visible()
    producer = Producer({"bootstrap.servers": stack.kafka, "enable.idempotence": True})
    producer.produce(topics.BANK_TRANSACTIONS_DLQ, b"{")
    assert producer.flush(30) == 0
    wait_until(
        lambda: state(stack)["topics"][topics.BANK_TRANSACTIONS_DLQ]["records"] == before + 1, SECONDS, "it is counted"
    )
    validator = psutil.Process(stack.pid_of(services.VALIDATOR))
    validator.suspend()
    try:
        expect(verdict(page)).to_contain_text(f"▲ {services.VALIDATOR} is down")
        expect(totals).to_have_text(f"{before:,}")
    finally:
        validator.resume()
    resume.click()
    expect(totals).to_have_text(f"{before + 1:,}")


@pytest.mark.long
def test_an_outage_is_as_plain_after_it_as_during_it(stack: Stack, page: Page) -> None:
    icon = page.locator("link[rel~=icon]").first
    expect(page).to_have_title("Real-time fraud detection")
    expect(icon).to_have_attribute("href", re.compile("2456c9"))
    broker = psutil.Process(stack.pid_of(services.KAFKA))
    broker.suspend()
    try:
        expect(page).to_have_title("▲ kafka is down: does not answer · Real-time fraud detection")
        expect(icon).to_have_attribute("href", re.compile("b3261e"))
        expect(verdict(page)).to_have_text(re.compile("^▲ kafka is down: does not answer"))
        expect(node(page, services.KAFKA)).to_contain_text("▲ down")
        expect(page.get_by_role("table", name="Brokers").locator("tbody tr")).to_contain_text("▲ down")
        expect(page.get_by_role("table", name="What happened").locator("tr", has_text="kafka is down")).to_contain_text(
            "ongoing"
        )
        page.screenshot(path=SCREENSHOTS / "console-outage.png", full_page=True)
    finally:
        broker.resume()
    expect(verdict(page)).to_have_text("● Everything is healthy")
    expect(page).to_have_title("Real-time fraud detection")
    expect(icon).to_have_attribute("href", re.compile("2456c9"))
    expect(page.locator("header")).to_contain_text(re.compile("kafka was down: does not answer · lasted .* · ended"))
    happened = page.get_by_role("table", name="What happened")
    because_of_kafka = happened.locator("td[data-label='Because of']", has_text=services.KAFKA)
    expect(happened.locator("tr", has_text="kafka was down").first).to_be_visible()
    expect(because_of_kafka).to_have_count(0)  # however much followed from it
    page.screenshot(path=SCREENSHOTS / "console-after-outage.png", full_page=True)
    page.locator("section", has=happened).get_by_role("button", name=re.compile("Show all")).click()
    expect(because_of_kafka.first).to_be_visible()


def test_charts_look_as_far_back_as_is_chosen_also_after_a_reload(stack: Stack, page: Page) -> None:
    await_rows(stack)

    def points() -> int:
        """Of the chart's longest line."""
        paths = (
            page.locator(".chart").first.locator("svg path").evaluate_all("all => all.map(e => e.getAttribute('d'))")
        )
        return max(len(re.findall(r"[LC]", path)) for path in paths)

    wait_until(lambda: points() >= 20, SECONDS, "a line is drawn")
    ticks = points()
    hour = page.get_by_role("button", name="1 h")
    hour.click()
    wait_until(lambda: points() < ticks / 2, SECONDS, "points of six ticks are drawn")
    page.reload()
    expect(hour).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="10 min").click()
    expect(hour).to_have_attribute("aria-pressed", "false")
    wait_until(lambda: points() > ticks / 2, SECONDS, "every tick is drawn again")


@pytest.mark.parametrize("visit", [("light", 390)], indirect=True, ids=str)
def test_long_sections_fold_on_the_phone(stack: Stack, page: Page) -> None:
    await_rows(stack)
    expect(page.get_by_role("table", name="The newest frauds")).to_be_visible()
    topics_table = page.get_by_role("table", name="Topics")
    expect(topics_table).to_be_hidden()
    folds = page.locator("button.fold")
    closed = page.evaluate("document.documentElement.scrollHeight")
    for fold in folds.all():
        fold.click()
        expect(fold).to_have_attribute("aria-expanded", "true")
    expect(topics_table).to_be_visible()
    assert page.evaluate("document.documentElement.scrollHeight") >= 3 * closed
    folds.last.click()
    expect(topics_table).to_be_hidden()


@pytest.mark.long
def test_a_poisoned_message_is_among_the_dead_letters_with_nothing_personal_in_it(stack: Stack, page: Page) -> None:
    producer = Producer({"bootstrap.servers": stack.kafka, "enable.idempotence": True})
    identity = str(uuid.uuid4())
    poison = samples.raw(transaction_id=identity, amount="a lot")
    producer.produce(topics.BANK_TRANSACTIONS, json.dumps(poison))
    producer.produce(topics.BANK_TRANSACTIONS, json.dumps(samples.raw(transaction_id=str(uuid.uuid4())))[:-1])
    producer.produce(topics.USERS, b'{"NAME": "Name 1", "SSN": "123-45-6781', key=b"u1")
    assert producer.flush(30) == 0
    section = page.locator("section", has=page.get_by_role("heading", name="Dead letters", exact=True))
    reasons = page.get_by_role("table", name="Dead letters by reason")
    expect(reasons.locator("tr", has_text="amount: Input should be a valid number")).to_contain_text("•••")
    expect(reasons.locator("tr", has_text=topics.MONGODB_SINK_DLQ).locator('[data-label="Count"]')).to_have_text("1")
    section.get_by_role("button", name=re.compile("Show all")).last.click()
    table = page.get_by_role("table", name="The latest dead letters")
    expect(table.locator("pre", has_text=identity)).to_be_visible()
    dead_letter = table.locator("tr", has_text=identity)
    expect(dead_letter).to_contain_text("amount: Input should be a valid number")
    expect(dead_letter.locator('[data-label="Came from"]')).to_contain_text(topics.BANK_TRANSACTIONS)
    expect(table.locator("tr", has_text=topics.MONGODB_SINK_DLQ)).to_contain_text("users / ")
    expect(node(page, topics.MONGODB_SINK_DLQ)).to_have_class(re.compile("bad"))
    text = table.inner_text() + reasons.inner_text()
    assert "•••" in text
    for person in (samples.user(1), samples.user(2)):
        for field in ("name", "address", "email", "birthdate", "phone_number", "company", "ssn", "bank_account"):
            assert person[field] not in text, field


@pytest.mark.long
def test_the_restart_button(stack: Stack, page: Page) -> None:
    log = stack.settings.folders.logs / "kafka-connect.log"
    done = "Connector 'mongodb-users' restart successful"
    before = log.read_text().count(done)
    page.get_by_role("button", name="Restart mongodb-users").click()
    expect(page.get_by_text("mongodb-users is restarting")).to_be_visible()
    expect(page.get_by_text("mongodb-users runs again")).to_be_visible()
    restarted = "connector mongodb-users was restarted from the console"
    expect(page.get_by_role("table", name="What happened").locator("tr", has_text=restarted)).to_be_visible()
    wait_until(lambda: log.read_text().count(done) > before, SECONDS, "Connect restarts it")
    wait_until(lambda: state(stack)["healthy"], SECONDS, "it runs again")


@pytest.mark.long
def test_a_killed_part_turns_red_and_comes_back(stack: Stack, page: Page) -> None:
    expect(verdict(page)).to_have_text("● Everything is healthy")
    for _ in range(KILLS):
        psutil.Process(stack.pid_of(services.PROCESSOR)).kill()
        with suppress(AssertionError):  # back before the console has looked: it is started at once, and later each time
            expect(node(page, services.PROCESSOR)).to_have_class(re.compile("bad"), timeout=5_000)
            break
    expect(node(page, services.PROCESSOR)).to_contain_text("▲ down")
    expect(verdict(page)).to_contain_text("▲")
    expect(node(page, services.PROCESSOR)).to_contain_text("● up")
    expect(verdict(page)).to_have_text("● Everything is healthy")


@pytest.mark.long
def test_the_console_outlives_the_broker(stack: Stack, page: Page) -> None:
    console, records = stack.pid_of("console"), state(stack)["topics"][topics.BANK_TRANSACTIONS]["records"]
    for _ in range(2):
        psutil.Process(stack.pid_of(services.KAFKA)).kill()
        expect(cell(page, "Health", services.KAFKA, "State")).to_have_text("▲ down")
        expect(cell(page, "Health", services.KAFKA, "State")).to_have_text("● up")
        expect(verdict(page)).to_have_text("● Everything is healthy")
    assert stack.pid_of("console") == console
    assert state(stack)["topics"][topics.BANK_TRANSACTIONS]["records"] == records


@pytest.mark.long
def test_status_of_a_part_that_does_not_answer(stack: Stack, page: Page) -> None:
    validator = psutil.Process(stack.pid_of(services.VALIDATOR))
    validator.suspend()
    try:
        expect(node(page, services.VALIDATOR)).to_contain_text("▲ down")
        answer = stack.start_sh("--status")
        assert answer.returncode == 1
        assert f"{services.VALIDATOR} is down" in answer.stdout
        said = stack.start_sh("--status", "--json")
        assert said.returncode == 1
        assert f"{services.VALIDATOR} is down: no answer within 2 s" in json.loads(said.stdout)["faults"]
    finally:
        validator.resume()
    expect(node(page, services.VALIDATOR)).to_contain_text("● up")
    stack.await_healthy()


@pytest.mark.parametrize("visit", LOOKS, indirect=True, ids=str)
def test_looks(stack: Stack, page: Page) -> None:
    """No serious fault for axe, nothing to scroll sideways; a screenshot is kept."""
    size = page.viewport_size
    assert size is not None
    expect(page.get_by_role("table", name="The newest frauds")).to_be_visible()
    expect(page.locator(".chart path").first).to_be_attached()
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert page.evaluate("document.body.classList.contains('body--dark')") == dark
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"console-{size['width']}-{'dark' if dark else 'light'}.png", full_page=True)
    found = Axe().run(page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == [], json.dumps(found)


def test_the_theme_is_a_choice_that_is_kept(stack: Stack, page: Page) -> None:
    button = page.get_by_role("button", name=re.compile("^Theme"))
    expect(button).to_have_text("Theme: system")
    button.click()
    expect(button).to_have_text("Theme: dark")
    expect(page.locator("body.body--dark")).to_have_count(1)
    page.reload()
    expect(button).to_have_text("Theme: dark")
    expect(page.locator("body.body--dark")).to_have_count(1)


def test_the_keyboard_reaches_everything_and_shows_where_it_is(stack: Stack, page: Page) -> None:
    expect(page.get_by_role("button", name="Restart mongodb-users")).to_be_visible()
    reached: list[str] = []
    while len(reached) < 100:
        page.keyboard.press("Tab")
        # The field's frame, not the input in it, shows the focus; after the last element the body has it.
        name, outline = page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e.closest('.q-field__control') ?? e);"
            " return [e == document.body ? '' : e.getAttribute('aria-label') || e.innerText, s.outlineStyle] }"
        )
        if not name:
            break
        reached.append(name.strip())
        assert outline != "none", f"nothing shows that {name} has the focus"
    buttons = [one.get_attribute("aria-label") or one.inner_text() for one in page.get_by_role("button").all()]
    assert buttons
    assert {button.strip() for button in buttons} <= set(reached)
    assert "Transaction, account or user" in reached
    assert len(reached) <= 40
    headings = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(e => +e.tagName[1])")
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
