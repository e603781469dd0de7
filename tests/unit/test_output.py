"""What the launcher says reaches a file as lines alone, and a terminal that is held does not hold the launcher."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from local.settings import ROOT

SAYS = "import sys\nfrom local.output import Output\noutput = Output()\n"


def test_a_terminal_that_is_held_holds_nothing_up() -> None:
    terminal, end = pty.openpty()  # of which nobody reads
    script = (
        "import os\n"
        "for number in range(2_000):\n"
        "    output.say('x' * 100)\n"
        "    output.show(f'picture {number}')\n"
        "os._exit(3 if not output.close() else 0)"
    )
    try:
        ended = subprocess.run([sys.executable, "-c", SAYS + script], cwd=ROOT, stdout=end, check=False, timeout=60)
    finally:
        os.close(terminal)
        os.close(end)
    assert ended.returncode == 3


@pytest.mark.parametrize("forced", ["", "1"])
def test_a_file_gets_no_pictures(tmp_path: Path, forced: str) -> None:
    script = "assert not output.is_terminal\noutput.say('one')\noutput.say('[two]')\noutput.end_pictures()\nassert output.close()"
    with (tmp_path / "log").open("wb") as log:
        variables = {**os.environ, "FORCE_COLOR": forced}
        subprocess.run([sys.executable, "-c", SAYS + script], cwd=ROOT, env=variables, stdout=log, check=True)
    assert (tmp_path / "log").read_text() == "one\n[two]\n"


def test_a_terminal_gets_the_newest_picture_and_every_line() -> None:
    terminal, end = pty.openpty()
    script = (
        "output.show('first')\n"
        "output.say('a line')\n"
        "while not output._work.empty(): pass\n"
        "output.show('last')\n"
        "output.end_pictures()\n"
        "assert output.close()"
    )
    try:
        variables = {**os.environ, "TERM": "xterm"}
        subprocess.run(
            [sys.executable, "-c", SAYS + script], cwd=ROOT, env=variables, stdout=end, check=True, timeout=60
        )
        shown = os.read(terminal, 10_000).decode()
    finally:
        os.close(terminal)
        os.close(end)
    assert "a line\r\n" in shown
    assert "last" in shown


def test_a_reader_that_is_gone_ends_nothing() -> None:
    script = (
        "import os\n"
        "reading, writing = os.pipe()\n"
        "os.dup2(writing, 1)\n"
        "os.close(writing)\n"
        "os.close(reading)\n"
        "for _ in range(3):\n"
        "    output.say('a line')\n"
        "alive = output._thread.is_alive()\n"
        "closed = output.close()\n"
        "os._exit(0 if alive and closed and output._work.empty() else 1)"
    )
    subprocess.run([sys.executable, "-c", SAYS + script], cwd=ROOT, stdout=subprocess.DEVNULL, check=True, timeout=60)
