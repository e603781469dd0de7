"""Refuses retired words in everything that people read: one thing has one name, in code, text and tests.

`python -m tests.words` prints each place and the word to write instead, and ends with 1 when there is one.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What was recorded from other programs keeps their words; a lock file has nobody's.
NOT_READ = re.compile(
    r"\.(png|svg|lock)$|requirements\.txt$|^tests/words\.py$|^tests/.*/recorded/|^LICENSE$|/jars/.*\.txt$"
)

# In these a retired word is the field's own.
KEPT = re.compile(
    r"dead[\s#*_-]*letters?|(a|(upper|lower)[\s-]*case) letters?|letter-spacing|name: letters|ascii_letters|\"letter\"",
    re.IGNORECASE,
)

# (retired, write instead). `_` and `-` count as the ends of a word, so that names in code are seen too.
RETIRED = (
    (r"letters?", "dead letter"),
    (r"mend(s|ed|ing)?", "fix, resolve, repair"),
    (r"foretold|foretells?", "expected"),
    (r"anew|begun", "again, started"),
    (r"rubbish|odd(ly)?", "malformed, invalid"),
    (r"stand[\s-]?ins?", "emulator, simulator"),
    (r"(cannot|could not|can not|to|not) be had", "is not available"),
    (r"the usual way", "baseline"),
    (r"SettingsError|Settings error", "UserError, user error"),
    (r"is none of", "must be one of"),
    (r"(has|have) gone", "is missing, is gone"),
        (r"by hand", "manually, manual intervention"),
    (r"by chance", "random"),
    (r"(is|are|not) well|well_and_not\w*", "healthy"),
    (r"(records?|transactions?|rows?|calls?|times?|messages?|once|\d) an? (second|minute|hour)", "200 records/s, per second"),
    (r"(one|once|two|three|row|rows|document|documents|messages?) an? "
     r"(key|partition|topic|transaction|id|call|record|batch|user|message|file|stream|service)", "per"),
    (r"(its|a|the|own|their) places? in (the|a|its|their|his) (consumer )?group", "partition assignment"),
    (r"(service|program|command|script|console|launcher|server|broker|worker|page|it) tells", "prints, shows, reports"),
)  # fmt: skip
RULES = tuple(
    (re.compile(rf"(?<![a-z])(?:{retired})(?![a-z])".replace(" ", r"\s+(?:[#*>]\s*)?"), re.IGNORECASE), instead)
    for retired, instead in RETIRED
)


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """The line, the retired words, and what to write instead."""
    text = KEPT.sub(lambda kept: re.sub("[^\n]", ".", kept[0]), text)
    for rule, instead in RULES:
        for match in rule.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), instead


def main() -> int:
    """Read every file that git knows. Returns 1 when a retired word is in one."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = [name for name in listed.split("\0") if name and not NOT_READ.search(name)]
    found = 0
    for name in names:
        for line, words, instead in findings((ROOT / name).read_text()):
            sys.stdout.write(f"{name}:{line}: '{words}' is retired, write: {instead}\n")
            found += 1
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
