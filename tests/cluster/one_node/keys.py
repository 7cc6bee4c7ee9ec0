"""The certificates of a cluster that lives for one run of the tests."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LASTS = timedelta(days=30)


class Authority:
    """Signs the certificates of one cluster. Files: `<name>.crt` and `<name>.key`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("goldgate-test", ())
        built = self._begun(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        self._write("ca", built.sign(self._key, hashes.SHA256()), self._key)

    @property
    def certificate(self) -> Path:
        """What clients and servers trust."""
        return self._folder / "ca.crt"

    def client(self, name: str, *, user: str, groups: Sequence[str] = ()) -> None:
        """Make the certificate of a client."""
        self._sign(name, _name(user, groups), usage=ExtendedKeyUsageOID.CLIENT_AUTH, hosts=(), addresses=())

    def server(self, name: str, *, hosts: Sequence[str], addresses: Sequence[str]) -> None:
        """Make the certificate of a server."""
        self._sign(name, _name(name, ()), usage=ExtendedKeyUsageOID.SERVER_AUTH, hosts=hosts, addresses=addresses)

    def _sign(
        self,
        file: str,
        name: x509.Name,
        *,
        usage: x509.ObjectIdentifier,
        hosts: Sequence[str],
        addresses: Sequence[str],
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        built = self._begun(name, key).add_extension(x509.ExtendedKeyUsage([usage]), False)
        names = [*map(x509.DNSName, hosts), *(x509.IPAddress(ip_address(address)) for address in addresses)]
        if names:
            built = built.add_extension(x509.SubjectAlternativeName(names), False)
        self._write(file, built.sign(self._key, hashes.SHA256()), key)

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + _LASTS)
        )

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        (self._folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(self._folder / f"{name}.key", key)


def signing_pair(folder: Path, name: str) -> None:
    """Make a pair of keys that sign and prove tokens: `<name>.key` and `<name>.pub`."""
    key = ec.generate_private_key(ec.SECP256R1())
    _write_key(folder / f"{name}.key", key)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


def _name(user: str, groups: Sequence[str]) -> x509.Name:
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, user)])
