"""The local mode's settings: folders, ports, stores. Read from the environment, after the `.env` file at the top."""

import os
import re
import secrets
import subprocess
import sys
from collections import defaultdict
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Annotated, NamedTuple

from dotenv import load_dotenv
from pydantic import AfterValidator

from local import files
from local.checked import Checked
from local.environment import basics
from local.s3_archiver.settings import Seconds
from runtime import services
from runtime.errors import UserError
from runtime.kafka import SECURITY
from runtime.service import Environment, Port

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"


class Ports(Environment):
    """Every port of the local mode; the variable's name is the field's in upper case."""

    kafka_port: Port = 9092
    kafka_controller_port: Port = 9093
    kafka_2_port: Port = 9094
    kafka_2_controller_port: Port = 9095
    kafka_3_port: Port = 9096
    kafka_3_controller_port: Port = 9097
    connect_port: Port = 8083
    connect_2_port: Port = 8084
    ksqldb_port: Port = 8088
    validator_port: Port = 8000
    mongodb_port: Port = 27017
    s3_port: Port = 9000
    console_port: Port = 8080
    ingestor_metrics_port: Port = 9101
    processor_metrics_port: Port = 9102
    ksqldb_metrics_port: Port = 9103
    archiver_metrics_port: Port = 9104


# Those of three brokers, which one has no use for.
CLUSTER_PORTS = frozenset(
    ("kafka_2_port", "kafka_2_controller_port", "kafka_3_port", "kafka_3_controller_port", "connect_2_port")
)


def _one_or_three(count: int) -> int:
    if count not in (1, 3):
        raise ValueError("must be 1 or 3")
    return count


class Cluster(Environment):
    """How many brokers there are. With three, every record is on each of them, and there are two Connect workers.

    Secure ones speak TLS, know their users, and let each do its own work alone (local/secure.py).
    """

    kafka_brokers: Annotated[int, AfterValidator(_one_or_three)] = 1
    kafka_secure: bool = False


class Broker(NamedTuple):
    """One of the brokers, which is a controller too: its id in the cluster, the service's name, and its two ports."""

    id: int
    name: str
    port: int
    controller_port: int

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"


# Seconds between the objects of a partition, unless the user says otherwise: to see rows at once on this machine, and not
# to pay for many small objects in AWS.
LOCAL_ARCHIVE_SECONDS, AWS_ARCHIVE_SECONDS = 5, 30


def _matching(pattern: str, what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"must be {what}")
        return value

    return AfterValidator(check)


class Stores(Environment):
    """Where the rows go. What a store would refuse at the first row is refused at the start."""

    s3_bucket: Annotated[
        str,
        _matching(
            r"(?!xn--|sthree-|(\d+\.){3}\d+$)(?!.*(\.\.|-s3alias$|--ol-s3$))[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
            "a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens, with a letter or digit at each end",
        ),
    ] = "test0001-fraudulent-transactions-raw"
    s3_prefix: Annotated[
        str, _matching(r"[\w.-]+(/[\w.-]+)*", "a folder's name: letters, digits, and . _ - between slashes")
    ] = "fraudulent-transactions"
    archive_interval_seconds: Seconds | None = None
    my_aws_access_key_id: Annotated[str, _matching("[!-~]+", "a key's id, without spaces")] | None = None
    my_aws_secret_access_key: Annotated[str, _matching("[!-~]+", "a secret key, without spaces")] | None = None
    my_aws_region: Annotated[str, _matching("[a-z]+(-[a-z0-9]+)+", "a region's name, such as eu-west-1")] | None = None


@dataclass
class Folders:
    """Where things are kept: `base` is this clone's own, `cache` is the user's and shared by all clones."""

    base: Path
    cache: Path

    def __post_init__(self) -> None:
        self.data, self.logs, self.run = self.base / "data", self.base / "logs", self.base / "run"
        self.temporary, self.state, self.stores = self.run / "tmp", self.run / "state.json", self.run / "stores.env"
        self.history = self.base / "ksql-history"
        # All that the stack makes in `base`: what else is there is somebody else's.
        # The last has the lock, by which local/bootstrap.sh knows the folder.
        self.made = self.data, self.logs, self.history, self.base / "python", self.run


@dataclass(frozen=True)
class MongoTarget:
    """Where the documents go. The URI may hold a password: it goes into environments only."""

    uri: str
    embedded: bool


@dataclass(frozen=True)
class S3Target:
    """Where the objects go; `endpoint` is None for AWS itself."""

    endpoint: str | None
    access_key_id: str
    secret_access_key: str
    region: str
    bucket: str
    prefix: str
    archive_seconds: int = LOCAL_ARCHIVE_SECONDS

    @property
    def environment(self) -> dict[str, str]:
        """The usual variables of S3 clients, and where the objects are."""
        variables = {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "S3_BUCKET": self.bucket,
            "S3_PREFIX": self.prefix,
            # The user's own files may have another endpoint, or a profile that is not for this.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        return variables | ({"S3_ENDPOINT": self.endpoint} if self.endpoint else {})


@dataclass(frozen=True)
class Addresses:
    """Where the services listen."""

    ports: Ports
    folders: Folders
    kafka_brokers: int = field(default=1, kw_only=True)
    kafka_secure: bool = field(default=False, kw_only=True)

    @property
    def brokers(self) -> tuple[Broker, ...]:
        ports = self.ports
        return (
            Broker(1, services.KAFKA, ports.kafka_port, ports.kafka_controller_port),
            Broker(2, services.KAFKA_2, ports.kafka_2_port, ports.kafka_2_controller_port),
            Broker(3, services.KAFKA_3, ports.kafka_3_port, ports.kafka_3_controller_port),
        )[: self.kafka_brokers]

    @property
    def bootstrap(self) -> str:
        return ",".join(broker.address for broker in self.brokers)

    @property
    def connect_url(self) -> str:
        return f"http://{HOST}:{self.ports.connect_port}"

    @property
    def connect_2_url(self) -> str:
        """Empty without a second worker."""
        return f"http://{HOST}:{self.ports.connect_2_port}" if self.kafka_brokers > 1 else ""

    @property
    def ksqldb_url(self) -> str:
        return f"http://{HOST}:{self.ports.ksqldb_port}"

    @property
    def validator_url(self) -> str:
        return f"http://{HOST}:{self.ports.validator_port}"

    @property
    def console_url(self) -> str:
        return f"http://{HOST}:{self.ports.console_port}"


@dataclass(frozen=True)
class Settings(Addresses):
    """All of it."""

    mongodb: MongoTarget
    s3: S3Target
    # What the user has set of a service's own settings, by the service's name.
    services: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def traced(self) -> bool:
        """Whether the services' spans go to a collector."""
        return bool(self.services.get(services.KAFKA_CONNECT))


MONGODB_GROUP = ("MY_MONGODB_USER", "MY_MONGODB_PASS", "MY_MONGODB_CLUSTER")
AWS_GROUP = ("MY_AWS_ACCESS_KEY_ID", "MY_AWS_SECRET_ACCESS_KEY", "MY_AWS_REGION")


def cloud_group(names: tuple[str, ...], environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """The values of a group of variables, or None when none is set. Raises UserError when only a part is."""
    values = tuple(environ.get(name, "") for name in names)
    if not any(values):
        return None
    missing = [name for name, value in zip(names, values, strict=True) if not value]
    if missing:
        raise UserError(
            f"{', '.join(missing)} not set, while {', '.join(name for name in names if name not in missing)} is: "
            "set all of them to use the cloud, or none to use the local store"
        )
    return values


# The part of .env that init/compose.sh writes; its last line is missing in older files.
WRITTEN_BY_DOCKER = re.compile(
    r"^# --- written by start\.sh.*?(^# --- end of what start\.sh writes[^\n]*\n?|\Z)", re.M | re.S
)


def cache_folder() -> Path:
    """Where downloads are kept, for all clones of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "realtime-fraud-detection"


def folders() -> Folders:
    """Of this clone and this user."""
    return Folders(Path(os.environ.get("LOCAL_DIR") or ROOT / ".local").absolute(), cache_folder())


def read_env_file() -> list[str]:
    """Add what the user has in .env to the environment, whatever system it was written on. Raises UserError when it is not
    UTF-8.

    What a start in Docker has written there is for Docker: this mode must not write to AWS because that one did. Gives the
    names of its keys.
    """
    file = ROOT / ".env"
    try:
        text = file.read_text("utf-8-sig") if file.exists() and not file.is_dir() else ""
    except UnicodeDecodeError:
        raise UserError(f"{file} is not in UTF-8: save it in that encoding") from None
    # As it stands: a password may have a ${...}.
    load_dotenv(stream=StringIO(WRITTEN_BY_DOCKER.sub("", text)), interpolate=False)
    return [name for name in AWS_GROUP if re.search(rf"^{name}=", text, re.M) and name not in os.environ]


def load() -> Settings:
    """The settings, all of them checked. The environment is made fit for this mode's clients.

    Raises UserError that names everything that is wrong.
    """
    if unread := read_env_file():
        sys.stderr.write(
            f"note: {', '.join(unread)} of a start in Docker, at the end of .env, is not used: "
            "write it at the top of .env to use AWS here too\n"
        )
    environ = os.environ
    for name in SECURITY:  # of another cluster: this mode's brokers know users of their own, or none
        environ.pop(name, None)
    # A proxy knows nothing of this machine's own ports.
    environ["no_proxy"] = ",".join((environ.get("no_proxy") or environ.get("NO_PROXY", ""), HOST, "localhost"))
    checked = Checked()
    ports, stores, cluster = checked.read(Ports), checked.read(Stores), checked.read(Cluster)
    mongodb = checked.attempt(lambda: _mongodb(ports, environ))
    aws = checked.attempt(lambda: cloud_group(AWS_GROUP, environ))
    from local.user_settings import (
        user_settings,  # needs the services' own folders, which not all who use this module have
    )

    of_services = user_settings(checked, cluster.kafka_brokers)
    unused = () if cluster.kafka_brokers > 1 else CLUSTER_PORTS
    checked.problems += shared_ports(ports, checked.wrong.union(unused))
    checked.end()
    assert mongodb
    own = folders()
    s3 = _s3(ports, own, stores, aws)
    return Settings(
        ports,
        own,
        mongodb,
        s3,
        of_services,
        kafka_brokers=cluster.kafka_brokers,
        kafka_secure=cluster.kafka_secure,
    )


def atlas_uri(user: str, password: str, cluster: str) -> str:
    """The URI of an Atlas cluster, by the one rule of both modes. Raises UserError for a name that no host can have."""
    variables = dict(zip(MONGODB_GROUP, (user, password, cluster), strict=True))
    answer = subprocess.run(
        ["bash", str(ROOT / "init" / "mongodb_uri.sh")],
        check=False,
        env={**basics(), **variables},
        capture_output=True,
        text=True,
    )
    if answer.returncode:
        raise UserError(answer.stderr.strip())
    return answer.stdout.strip()


def shared_ports(ports: Ports, wrong: Container[str] = ()) -> list[str]:
    """A problem for each port that two services would have; `wrong` are the fields that have no port that counts."""
    names = defaultdict(list)
    for name, port in ports:
        if name not in wrong:
            names[port].append(name.upper())
    return [f"{' and '.join(same)} are both {port}: give each its own port" for port, same in names.items() if same[1:]]


def _mongodb(ports: Ports, environ: Mapping[str, str]) -> MongoTarget:
    group = cloud_group(MONGODB_GROUP, environ)
    if group is None:
        return MongoTarget(f"mongodb://{HOST}:{ports.mongodb_port}", embedded=True)
    return MongoTarget(atlas_uri(*group), embedded=False)


def _s3(ports: Ports, folders: Folders, stores: Stores, aws: tuple[str, ...] | None) -> S3Target:
    names, seconds = (stores.s3_bucket, stores.s3_prefix), stores.archive_interval_seconds
    if aws is None:
        url, secret = f"http://{HOST}:{ports.s3_port}", _local_secret(folders)
        return S3Target(url, "local", secret, "us-east-1", *names, seconds or LOCAL_ARCHIVE_SECONDS)
    key_id, secret, region = aws
    return S3Target(None, key_id, secret, region, *names, seconds or AWS_ARCHIVE_SECONDS)


def _local_secret(folders: Folders) -> str:
    """The embedded S3 server's secret: made once for this clone, readable by its user alone."""
    file = folders.run / "s3-secret"
    if not (file.exists() and re.fullmatch("[0-9a-f]{40}", file.read_text(errors="replace"))):
        files.write(file, secrets.token_hex(20), mode=0o600)
    return file.read_text()
