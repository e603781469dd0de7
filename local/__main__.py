"""The commands of the local mode, which start.sh and init/clean_ksqldb.sh call: `python -m local COMMAND`."""

import argparse
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from console import topic, trace
from local import launcher
from local.environment import basics
from local.running import check_cluster, clients, find, metadata
from local.settings import ROOT, Addresses, Folders, folders, load
from runtime import disk
from runtime.errors import UserError
from runtime.kafka import client_config


def main() -> int:  # noqa: PLR0911 - one a command
    """Parse, run, and turn what the user can fix into one line on stderr."""
    parser = argparse.ArgumentParser(prog="start.sh --local")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--detach", action="store_true")
    commands.add_parser("status").add_argument("--json", action="store_true")
    for name in ("stop", "clean", "clean-ksqldb"):
        commands.add_parser(name)
    topic.add_arguments(commands.add_parser("topic"))
    replay = commands.add_parser("replay-dlq")
    replay.add_argument("arguments", nargs=argparse.REMAINDER)
    traced = commands.add_parser("trace")
    traced.add_argument("id")
    traced.add_argument("--json", action="store_true")
    commands.add_parser("ksql").add_argument("statement", nargs="?")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        match arguments.command:
            case "up":
                settings = load()
                return launcher.up_detached(settings) if arguments.detach else launcher.up(settings)
            case "status":
                return launcher.show_status(folders(), arguments.json)
            case "stop":
                return launcher.stop(folders())
            case "clean":
                return _clean(folders())
            case "clean-ksqldb":
                return launcher.clean_ksqldb(folders())
            case "ksql":
                from console.ksql import prompt  # its library takes a quarter of a second to import

                stack = find(folders())
                return prompt.main(stack.ksqldb_url, stack.folders.history, arguments.statement)
            case "trace":
                return trace.show(find(folders()).console_url, arguments.id, arguments.json)
            case "replay-dlq":
                return _replay(find(folders()), arguments.arguments)
            case _:
                stack = find(folders())
                topic.show(client_config(clients(stack)), arguments, lambda client: metadata(stack, client))
                return 0
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except (OSError, psutil.AccessDenied) as error:
        sys.stderr.write(f"error: {_reason(error)}\n")
        return 1


def _reason(error: OSError | psutil.AccessDenied) -> str:
    if isinstance(error, psutil.AccessDenied):
        return f"process {error.pid} of the local stack is another user's: stop it as that user"
    try:
        return disk.refused(error, folders().base)
    except OSError:
        return str(error)


def _clean(own: Folders) -> int:
    code = launcher.stop(own, keep=False)
    if code == 0:
        with launcher.only_one(own, launcher.UNKNOWN):
            for path in own.made:
                _remove(path)
        try:
            own.base.rmdir()
            sys.stdout.write(f"removed {own.base}\n")
        except OSError:  # LOCAL_DIR may be a folder that holds more
            sys.stdout.write(f"removed all of the local stack in {own.base}, where other files are left\n")
    return code


def _remove(path: Path) -> None:
    """Remove a file, a folder, or a link: what that leads to may have been there before."""
    if path.is_symlink():
        sys.stdout.write(f"what is in {path.resolve()} is left: {path} was a link to it\n")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _replay(stack: Addresses, arguments: list[str]) -> int:
    check_cluster(stack)
    environment = {**basics(), **clients(stack)}
    command = [sys.executable, "-m", "init.replay_dlq", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
