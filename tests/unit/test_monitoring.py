"""The alert rules, and that rules and dashboard ask for nothing that is not exported."""

import importlib
import inspect
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

import console.state
from console.metrics import StateMetrics
from console.state import Health, State
from local.settings import ROOT
from runtime import services

MONITORING = ROOT / "monitoring"
DASHBOARD = MONITORING / "grafana" / "dashboards" / "fraud-detection.json"
OURS = (
    "runtime.metrics",
    "ingestor.metrics",
    "processor.metrics",
    "console.metrics",
)
PROMETHEUS = {"up", "ALERTS"}
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}
KEYWORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "offset", "bool"}


def exported() -> set[str]:
    for module in OURS:
        importlib.import_module(module)
    asked = {services.KAFKA: Health(True), services.VALIDATOR: Health(True)}
    of_the_cluster = StateMetrics(lambda: State(services=asked)).collect()
    families = chain(REGISTRY.collect(), of_the_cluster)
    return {family.name + suffix for family in families for suffix in SUFFIXES.get(family.type, [])} | PROMETHEUS


def names(expression: str) -> set[str]:
    """The metrics of a PromQL expression: its words but for labels, numbers, functions and keywords."""
    for noise in (
        r'"[^"]*"',
        r"\{[^}]*\}",
        r"\[[^]]*\]",
        r"\b(by|without|on|ignoring)\s*\([^)]*\)",
        r"\b\d\w*",
        r"\w+\s*\(",
    ):
        expression = re.sub(noise, " ", expression)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", expression)) - KEYWORDS


def expressions() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]


EXPRESSIONS = list(expressions())


def test_names_of_an_expression() -> None:
    expression = (
        'max by (group) (rate(a_total{b="c_total"}[5m] offset 3m)) > 0 and on (group) sum(d) == 1e3 or time() - e'
    )
    assert names(expression) == {"a_total", "d", "e"}


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_every_metric_is_exported(where: str, expression: str) -> None:
    used = names(expression)
    assert used
    assert used <= exported(), where


def test_the_kinds_that_are_asked_for_are_those_of_the_state() -> None:
    alerts = (MONITORING / "alerts.yml").read_text()
    asked = set(re.findall(r'stack_(?:fault|warning)\{kind="([^"]+)"', alerts))
    code = inspect.getsource(console.state)
    assert len(asked) == alerts.count("stack_fault{") + alerts.count("stack_warning{") - 1  # dead letters are both
    assert asked <= set(re.findall(r'Problem\(\s*"([^"]+)"', code)) | {console.state.DEAD_LETTERS}


def test_panels_have_their_places() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    datasource = yaml.safe_load((MONITORING / "grafana" / "datasources" / "prometheus.yml").read_text())["datasources"][
        0
    ]
    assert {panel["datasource"]["uid"] for panel in panels} == {datasource["uid"]}


promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on PATH (Debian has it in the package prometheus)"
)


def run_promtool(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], check=False, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
@pytest.mark.parametrize(
    "arguments", ["check config prometheus.yml", "check rules alerts.yml", "test rules alerts_test.yml"]
)
def test_promtool(arguments: str) -> None:
    run_promtool(MONITORING, *arguments.split())


def test_every_alert_is_tested_both_ways() -> None:
    """Once it fires, and once it does not."""
    tests = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
    seen = {(case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]}
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    assert seen == {(rule["alert"], fires) for rule in rules for fires in (True, False)}


@promtool
def test_the_dashboard_s_expressions_are_promql(tmp_path: Path) -> None:
    rules = [{"record": "a", "expr": panel} for _, panel in EXPRESSIONS]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run_promtool(tmp_path, "check", "rules", "--lint=none", "rules.yml")
