"""The broker's settings: what matters in both modes is the same in both."""

from pathlib import Path

import yaml

from local.broker import BOTH_MODES, properties
from local.settings import ROOT, Folders, MongoTarget, Ports, S3Target, Settings

SETTINGS = Settings(
    Ports(), Folders(Path("base"), Path("cache")), MongoTarget("", embedded=True), S3Target("", "", "", "", "", "")
)


def test_both_modes_follow_the_table() -> None:
    lines = properties(SETTINGS, Path("data")).splitlines()
    local = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["kafka"]["environment"]
    wanted = {name: str(value) for name, value in BOTH_MODES.items()}
    assert {name: local.get(name) for name in wanted} == wanted
    assert {name: str(compose.get(variable(name))) for name in wanted} == wanted


def variable(name: str) -> str:
    """As the image of Kafka reads a setting."""
    return "KAFKA_" + name.upper().replace(".", "_")
