"""`./start.sh --local` in a terminal, as a newcomer has it: of 80x24, and then larger."""

from pathlib import Path

import pytest

from console.tables import WHAT
from contracts import topics
from local.settings import ROOT
from runtime import services
from tests.support.stack import free_ports, processes_of
from tests.support.terminal import CTRL_C, Terminal

COUNT = 40
READERS = (
    *services.SERVICE_GROUPS,
    *map(services.connector_group, services.CONNECTORS),
    *(f"ksqlDB: {stream}" for stream in services.STREAMS),
)


def whole(rows: list[str]) -> bool:
    """From its first line to its last, with all that is counted."""
    text = "\n".join(rows)
    return rows[0].startswith("topic") and "Ctrl-C stops all." in text and all(one in text for one in READERS)


def has_counted(rows: list[str]) -> bool:
    return whole(rows) and any(row.split()[:2] == [topics.BANK_TRANSACTIONS, str(COUNT)] for row in rows)


def test_all_is_seen_in_a_terminal_of_any_usual_size(tmp_path: Path) -> None:
    ports = free_ports()
    environment = {**ports, "LOCAL_DIR": str(tmp_path / "local"), "BANK_COUNT": str(COUNT), "BANK_RATE": "0"}
    terminal = Terminal(["bash", str(ROOT / "start.sh"), "--local"], environment, 24, 80)
    try:
        terminal.expect("resident in all", 300)
        for height, width in ((24, 80), (40, 140)):
            terminal.resize(height, width)
            rows = terminal.expect_screen(
                has_counted if width < 100 else whole, f"the whole view, {width}x{height}", 60
            )
            text = "\n".join(rows)
            for name in topics.ALL:
                assert f"{name} " in text, name
            for address in ("CONSOLE", "KAFKA", "CONNECT", "KSQLDB", "VALIDATOR", "MONGODB", "S3"):
                assert f":{ports[f'{address}_PORT']}" in text, address
            assert str(tmp_path / "local") in text
            assert "…" not in text
            assert "query_" not in text
            assert terminal.screen is not None
            assert not terminal.screen.wrapped
            assert rows.count("") >= 1  # it does not fill the screen: nothing has scrolled away
        assert all(what in "\n".join(rows) for what in WHAT.values())
        terminal.send(CTRL_C)
        assert terminal.wait(60) == 0
    finally:
        terminal.kill()
    assert processes_of(tmp_path / "local") == []


@pytest.mark.parametrize(("width", "wraps"), [(10, True), (11, False)])
def test_the_screen_knows_a_line_that_is_too_long(width: int, wraps: bool) -> None:
    screen = Terminal(["printf", r"\r\n12345678901\n\033[1Aabc\033[K"], {})
    try:
        screen.resize(4, width)
        screen.wait()
        assert screen.screen is not None
        assert screen.screen.wrapped == wraps
        assert screen.screen.rows == (["", "1234567890", "abc", ""] if wraps else ["", "abc", "", ""])
    finally:
        screen.kill()
