"""TLS by the server itself: files that are of no use are told by their names, and nobody is asked for a password."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from domain.errors import SettingsError
from serving.app import application
from serving.server import Server
from serving.settings import Settings


def pair(folder: Path, name: str, password: bytes = b"") -> tuple[Path, Path]:
    """A certificate and its private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    whose, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
    made = x509.CertificateBuilder(whose, whose, key.public_key(), 1, now, now + timedelta(days=1)).sign(
        key, hashes.SHA256()
    )
    certificate, private = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    kept = BestAvailableEncryption(password) if password else NoEncryption()
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, kept))
    return certificate, private


def server(folder: Path, certificate: Path | None, private_key: Path | None) -> Server:
    """As `burana serve` makes it."""
    settings = Settings(home=folder)
    return Server(application(settings), settings, certificate, private_key)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (lambda folder: (None, pair(folder, "one")[1]), "one.key alone, allowed with --certificate"),
        (lambda folder: (folder / "none.pem", pair(folder, "one")[1]), "none.pem.*No such file"),
        (
            lambda folder: (pair(folder, "one")[0], pair(folder, "other")[1]),
            "one.pem.*other.key.*allowed are a chain and its key",
        ),
        (lambda folder: (pair(folder, "one")[0], None), "one.pem.*allowed are a chain and its key"),
        (lambda folder: pair(folder, "one", b"secret"), "one.key.*without a password"),
    ],
    ids=["a key alone", "no file", "a key of another", "a certificate alone", "a key with a password"],
)
def test_files_that_are_of_no_use_are_told_by_their_names(
    files: Callable[[Path], tuple[Path | None, Path | None]], says: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=says):
        server(tmp_path, *files(tmp_path))


def test_a_certificate_and_its_key_are_taken(tmp_path: Path) -> None:
    assert server(tmp_path, *pair(tmp_path, "one")).config.is_ssl
    assert not server(tmp_path, None, None).config.is_ssl
