"""The certificate of a secured stack's brokers, which signs itself: clients of this clone trust this one, and no other."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from local import files
from local.settings import HOST

DAYS = 825  # as long as clients accept at most
RENEW_DAYS = 30


def make(trusted_file: Path, brokers_file: Path) -> None:
    """Write the certificate, for clients, and the same with its key, for brokers, unless they are good for a while."""
    if _good(trusted_file) and brokers_file.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kafka")])
    # The addresses by which clients and the other brokers know a broker.
    addresses = [x509.IPAddress(ipaddress.ip_address(HOST)), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(days=1))  # of clients with a clock that is behind
        .not_valid_after(_now() + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = certificate.public_bytes(Encoding.PEM).decode()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    files.write(brokers_file, secret + text, mode=0o600)
    files.write(trusted_file, text)


def _good(file: Path) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return False
    ends = certificate.not_valid_after_utc - datetime.timedelta(days=RENEW_DAYS)
    return certificate.not_valid_before_utc <= _now() < ends  # it was made by a clock that was ahead, or ends soon


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
