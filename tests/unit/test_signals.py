"""A signal is heard whatever the main thread does at that moment."""

import subprocess
import sys

from local.settings import ROOT

# Waits so shortly that it often holds the event's lock when a signal comes.
CODE = """
import os, signal
from threading import Event
from runtime.signals import sets
event, heard = Event(), 0
signal.signal(signal.SIGALRM, sets(event))
signal.setitimer(signal.ITIMER_REAL, 0.00037, 0.00037)
while heard < 2_000:
    if event.wait(0.0002):
        heard += 1
        event.clear()
os._exit(0)
"""


def test_a_signal_that_comes_while_its_event_is_waited_for_blocks_nothing() -> None:
    assert subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, timeout=60, check=False).returncode == 0
