"""The commands of the local mode, which start.sh and init/clean_ksqldb.sh call: `python -m local COMMAND`."""

import argparse
import logging
import shutil
import subprocess
import sys

from contracts.kafka import SettingsError
from local import disk, launcher
from local.console_consumer import consume
from local.environment import basics
from local.settings import ROOT, Settings, load


def main() -> int:  # noqa: PLR0911 - one a command
    """Parse, run, and turn what the user can mend into one line on stderr."""
    parser = argparse.ArgumentParser(prog="start.sh --local")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--detach", action="store_true")
    commands.add_parser("status").add_argument("--json", action="store_true")
    for name in ("stop", "clean", "clean-ksqldb"):
        commands.add_parser(name)
    topic = commands.add_parser("topic")
    topic.add_argument("name")
    topic.add_argument("--from-beginning", action="store_true")
    replay = commands.add_parser("replay-dlq")
    replay.add_argument("name")
    replay.add_argument("--dry-run", action="store_true")
    commands.add_parser("ksql").add_argument("statement", nargs="?")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    settings: Settings | None = None
    try:
        settings = load()
        match arguments.command:
            case "up":
                return launcher.up_detached(settings) if arguments.detach else launcher.up(settings)
            case "status":
                return launcher.show_status(settings, arguments.json)
            case "stop":
                return launcher.stop(settings)
            case "clean":
                return _clean(settings)
            case "clean-ksqldb":
                return launcher.run_with_ksqldb(settings, ["init/clean_ksqldb.py"])
            case "ksql":
                from console.ksql import prompt  # its library takes a quarter of a second to import

                history = settings.folders.base / "ksql-history"
                return prompt.main(settings.ksqldb_url, history, arguments.statement)
            case "replay-dlq":
                return _replay(settings, [arguments.name, *(["--dry-run"] if arguments.dry_run else [])])
            case _:
                consume(settings, arguments.name, arguments.from_beginning)
                return 0
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"error: {disk.refused(error, settings.folders.base if settings else ROOT)}\n")
        return 1


def _clean(settings: Settings) -> int:
    code = launcher.stop(settings)
    if code == 0:
        shutil.rmtree(settings.folders.base, ignore_errors=True)
        sys.stdout.write(f"removed {settings.folders.base}\n")
    return code


def _replay(settings: Settings, arguments: list[str]) -> int:
    script = str(ROOT / "init" / "replay_dlq.py")
    environment = {**basics(), "KAFKA_BOOTSTRAP_SERVER": settings.bootstrap}
    return subprocess.run([sys.executable, script, *arguments], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
