"""Both modes read the same settings by the same rules, though one has Python and the other has bash alone."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic import ValidationError
from pymongo import uri_parser

from bank.settings import BankSettings
from init.init_kafka import Settings as TopicSettings
from local.settings import MONGODB_GROUP, ROOT, Ports, Stores, atlas_uri
from processor.settings import Settings as ProcessorSettings
from runtime.errors import UserError
from runtime.service import Environment, variable
from runtime.tracing import Settings as TracingSettings
from validator.settings import Simulation

CLASSES = (Ports, Stores, TopicSettings, BankSettings, Simulation, ProcessorSettings, TracingSettings)
FIELDS = {variable(settings, name): (settings, name) for settings in CLASSES for name in settings.model_fields}
COMPOSE = "".join(
    (ROOT / name).read_text()
    for name in ("docker-compose.yml", "docker-compose.cluster.yml", "simulators/docker-compose.yml")
)

VALUES = [
    *("0", "1", "2", "-1", "+5", "0.5", "1.5", "-0.1", "1e3", "1e999", "inf", "nan", "NaN", "60", "60.1", "100", "101"),
    *(
        "900",
        "901",
        "1000",
        "1001",
        "10000",
        "10001",
        "65535",
        "65536",
        "100000",
        "100001",
        "1000000",
        "1000001",
        "007",
    ),
    *("high", "1O", "10 000", "1,5", "1;2", "0x10", "ten", "$(id)", "`id`", "-", ".", "%d", "*", "ü", "a b", "'"),
    *("my-bucket", "My-Bucket", "my_bucket", "ab", "a" * 63, "a" * 64, "-ab", "ab-", "a..b", "10.0.0.1", "xn--abc"),
    *("my.bucket.2", "sthree-a", "abc-s3alias", "abc--ol-s3", "eu-west-1", "us-gov-east-1", "EU-WEST-1", "eu_west_1"),
]


def bash(script: str, *arguments: str, folder: Path = ROOT, **environment: str) -> str:
    """What a script prints that has the functions of init/settings.sh."""
    return subprocess.run(
        ["bash", "-euc", f". '{ROOT / 'init' / 'settings.sh'}'; {script}", "bash", *arguments],
        check=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
    ).stdout


def table() -> dict[str, str]:
    """The kind and the limits of each setting that bash checks."""
    rows = (line.split(maxsplit=1) for line in bash('printf %s "$SETTINGS"').splitlines() if line)
    return dict(rows)  # type: ignore[arg-type]


def refused(settings: type[Environment], field: str, value: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setenv(variable(settings, field), value)
    try:
        settings(**({"fraud_validator_url": "http://v"} if settings is ProcessorSettings else {}))
    except ValidationError as error:
        return any(problem["loc"][0] == field for problem in error.errors())
    return False


def test_bash_checks_every_setting_that_compose_takes() -> None:
    taken = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", COMPOSE))
    checked = set(table())
    assert taken & set(FIELDS) <= checked
    assert checked <= taken
    ports = {name for name, kind in table().items() if kind.startswith("port ")}
    assert ports == {name for name in taken if name.endswith("_PORT")}


@pytest.mark.parametrize("name", sorted(set(table()) & set(FIELDS) - {"FRAUD_VALIDATOR_URL"}))
def test_bash_refuses_what_the_services_refuse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = table()[name]
    said = bash(
        'row=$1; shift; for value in "$@"; do printf "%s\\n" "$(must_be "$value" $row)"; done', kind, *VALUES
    ).splitlines()
    # A number in words that only Python reads may be refused; what Python refuses must be.
    assert len(said) == len(VALUES)
    wrong = [
        value
        for value, must in zip(VALUES, said, strict=True)
        if bool(must) != refused(*FIELDS[name], value, monkeypatch)
    ]
    assert wrong == []


def test_ports_have_the_same_defaults() -> None:
    defaults = {name: kind.split()[1] for name, kind in table().items() if kind.startswith("port ")}
    for name, default in re.findall(r"127\.0\.0\.1:\$\{([A-Z0-9_]+):-([0-9]+)\}", COMPOSE):
        assert defaults[name] == default
        if name in FIELDS:
            assert Ports.model_fields[name.lower()].default == int(default)


CREDENTIALS = [
    "plain",
    "me@home",
    "a:b/c%d?e#f[g]",
    "with space",
    "$HOME ${HOME} $(id) `id`",
    'it\'s "quoted"',
    "back\\slash \\n",
    "Grüße 👍 ß",
    "+&=;,!*()~_-.",
    " # no comment",
]
CLUSTERS = {
    "clusterX.xxxxx": "clusterX.xxxxx.mongodb.net",
    "cluster0.ab1cd": "cluster0.ab1cd.mongodb.net",
    "cluster0-ab1cd": "cluster0-ab1cd.mongodb.net",
    "cluster0.ab1cd.mongodb.net": "cluster0.ab1cd.mongodb.net",
    "cluster0-ab1cd.mongodb.net": "cluster0-ab1cd.mongodb.net",
    "cluster0.ab1cd.mongodbgov.net": "cluster0.ab1cd.mongodbgov.net",
    "mongodb.example.com": "mongodb.example.com",
}


def parts(uri: str) -> tuple[str, str, str]:
    """User, password and host, by the driver's own parser (which would look an SRV host up)."""
    parsed = uri_parser.parse_uri(uri.replace("mongodb+srv://", "mongodb://"))
    assert uri.startswith("mongodb+srv://")
    return parsed["username"], parsed["password"], parsed["nodelist"][0][0]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_has_the_host_that_atlas_gives_it(cluster: str) -> None:
    assert parts(atlas_uri("me", "secret", cluster)) == ("me", "secret", CLUSTERS[cluster].lower())


def test_any_user_and_password_reach_the_driver() -> None:
    for user, password in zip(CREDENTIALS, reversed(CREDENTIALS), strict=True):
        uri = atlas_uri(user, password, "cluster0.ab1cd")
        assert parts(uri) == (user, password, "cluster0.ab1cd.mongodb.net")
        assert re.fullmatch(r"[!-&(-~]+", uri), "no space, quote or line end comes through"
        given = dict(zip(MONGODB_GROUP, (user, password, "cluster0.ab1cd"), strict=True))
        assert bash("mongodb_uri", **given) == uri + "\n"


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_both_modes_read_the_same_from_the_file(tmp_path: Path, end: str) -> None:
    lines = [f"V{number}={quoted(value)}" for number, value in enumerate(CREDENTIALS)]
    lines += [
        "PLAIN=p$w-${x}#y # a comment",
        'DOUBLE="a # \\" b" # a comment',
        "export EXPORTED = 7 ",
        "EMPTY=",
        "#OFF=1",
    ]
    lines += ["TWICE=1", "TWICE=2"]
    (tmp_path / ".env").write_bytes((end.join(lines) + end).encode())
    expected = dotenv_values(tmp_path / ".env", interpolate=False)
    assert [expected[f"V{number}"] for number in range(len(CREDENTIALS))] == CREDENTIALS
    names = [*expected, "OFF", "MISSING"]
    said = bash('for name; do printf "%s\\n" "$(setting "$name")"; done', *names, folder=tmp_path).splitlines()
    assert dict(zip(names, said, strict=True)) == {**expected, "OFF": "", "MISSING": ""}
    assert bash("setting TWICE", folder=tmp_path, TWICE="3") == "3"
    assert bash("setting TWICE", folder=tmp_path, TWICE="") == ""  # as Compose has it


@pytest.mark.parametrize(
    "cluster", ["mongodb+srv://me:secret@cluster0.ab1cd.mongodb.net", "a b", "a..b", "-a.b", "a.b:1", "ü"]
)
def test_what_is_no_host_is_refused_without_showing_a_password(cluster: str) -> None:
    with pytest.raises(UserError, match=r"^MY_MONGODB_CLUSTER=.* such as cluster0\.ab1cd") as raised:
        atlas_uri("me", "secret", cluster)
    assert "secret" not in str(raised.value)
