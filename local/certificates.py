"""The certificates of a secured broker: an authority of this clone's own, and what it signs for the brokers on this machine."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local import files
from local.settings import HOST

DAYS = 825  # as long as clients accept at most
RENEW_DAYS = 30


def make(authority_file: Path, brokers_file: Path) -> None:
    """Write the authority's certificate, for clients, and the brokers' with its key, unless they are good for a while."""
    if not _good(authority_file) or not brokers_file.exists():
        key, authority = _authority()
        own_key, own = _brokers(key, authority)
        files.write(brokers_file, _pem(own_key) + _text(own) + _text(authority), mode=0o600)
        files.write(authority_file, _text(authority))


def _good(file: Path) -> bool:
    try:
        ends = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return False
    return ends > _now() + datetime.timedelta(days=RENEW_DAYS)


def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Its key is forgotten once it has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("fraud-detection local authority")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return key, made.sign(key, hashes.SHA256())


def _brokers(
    authority_key: ec.EllipticCurvePrivateKey, authority: x509.Certificate
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """For the addresses by which clients and the other brokers know a broker; brokers are clients of each other."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.IPAddress(ipaddress.ip_address(HOST)), x509.DNSName("localhost")]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    made = (
        _builder(_name("kafka"), authority.subject, key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    return key, made.sign(authority_key, hashes.SHA256())


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(days=1))  # of clients with a clock that is behind
        .not_valid_after(_now() + datetime.timedelta(days=DAYS))
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
