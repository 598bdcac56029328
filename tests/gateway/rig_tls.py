"""Certificates for tests: an authority of our own, and what it vouches for."""

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Vouches for hosts."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def file(self) -> str:
        """Its certificate, for who trusts it."""
        return str(self.folder / "ca.pem")

    def context(self, host: str, *, is_expired: bool = False) -> ssl.SSLContext:
        """What a server at this host presents."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = -DAY if is_expired else DAY
        made = _certificate(host, key, until).issuer_name(self.certificate.subject)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        made = made.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
        )
        file = self.folder / f"{host}-{is_expired}.pem"
        file.write_bytes(_pem(made.sign(self.key, hashes.SHA256())) + _private(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context


def authority(folder: Path) -> Authority:
    """One of its own, whose certificate is in ``ca.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = _certificate("an authority of our own", key, DAY)
    made = made.issuer_name(_name("an authority of our own"))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    usage = dict.fromkeys(_USES, False) | {"key_cert_sign": True, "crl_sign": True}
    made = made.add_extension(x509.KeyUsage(**usage), critical=True)
    signed = made.sign(key, hashes.SHA256())
    (folder / "ca.pem").write_bytes(_pem(signed))
    return Authority(folder, signed, key)


_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, until: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3 * DAY)
        .not_valid_after(now + until)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
