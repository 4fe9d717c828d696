"""Keys that sign checkpoints of the audit log: Ed25519, in the form of C2SP signed-note, in files and never in the database.

`audit.key` in the home holds the private key, for its owner only. The public ones stand a line each in `keys` beside the
checkpoints, the newest last: what an older key signed is still verified after a rotation.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.errors import AuditError, SettingsError
from domain.whole_file import write_whole

KEY_FILE, PUBLIC_FILE = "audit.key", "keys"
_PRIVATE = "PRIVATE+KEY+"
_ED25519 = b"\1"
_NAME = re.compile(r"[^\s+]{1,128}")


@dataclass(frozen=True)
class PublicKey:
    """Verifies. name: of the log, its origin; hash: four bytes that find the key of a signature."""

    name: str
    hash: bytes
    raw: bytes

    def __str__(self) -> str:
        """The key as C2SP writes it: name, hash, base64 of the type and the key."""
        return f"{self.name}+{self.hash.hex()}+{base64.b64encode(_ED25519 + self.raw).decode()}"

    def has_signed(self, text: bytes, signature: bytes) -> bool:
        """Whether a signature is this key's of a text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, text)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """Signs, under the name of a log."""

    name: str
    key: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this one signs."""
        raw = self.key.public_key().public_bytes_raw()
        return PublicKey(self.name, _hash(self.name, raw), raw)

    def __repr__(self) -> str:
        return f"PrivateKey({self.public})"


def made(name: str) -> PrivateKey:
    """A new key; SettingsError for a name with blanks or a plus in it."""
    if not _NAME.fullmatch(name):
        raise SettingsError(f"origin: seen {name!r}, allowed a name without blanks and +, such as example.kg/burana")
    return PrivateKey(name, Ed25519PrivateKey.generate())


def write(key: PrivateKey, home: Path, folder: Path) -> None:
    """Keep a new key, in place of an older one: `publish` and `keep`."""
    publish(key, folder)
    keep(key, home)


def publish(key: PrivateKey, folder: Path) -> None:
    """Add the public key to those beside the checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{known}\n" for known in (*public_keys(folder), key.public))
    write_whole(folder / PUBLIC_FILE, lines)


def keep(key: PrivateKey, home: Path) -> None:
    """Keep the private key in the home: from then on it signs, and an older one is gone."""
    text = (
        f"{_PRIVATE}{key.name}+{key.public.hash.hex()}+{base64.b64encode(_ED25519 + key.key.private_bytes_raw()).decode()}\n"
    )
    write_whole(home / KEY_FILE, text, 0o600)


def read(home: Path) -> PrivateKey | None:
    """The key of a home, None where there is none; AuditError for a file that holds none."""
    file = home / KEY_FILE
    try:
        name, hash_, data = file.read_text(encoding="utf-8").strip().removeprefix(_PRIVATE).split("+", 2)
        raw = base64.b64decode(data, validate=True)
        key = PrivateKey(name, Ed25519PrivateKey.from_private_bytes(raw.removeprefix(_ED25519)))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise AuditError(f"{file} holds no key of `burana audit key`: {error}") from error
    if key.public.hash.hex() != hash_:
        raise AuditError(f"{file} is damaged: the hash in it is {hash_}, that of its key {key.public.hash.hex()}")
    return key


def public_keys(folder: Path) -> list[PublicKey]:
    """The keys that signed here, oldest first; AuditError for a line that is none."""
    try:
        lines = (folder / PUBLIC_FILE).read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return []
    return [public_key(line) for line in lines]


def public_key(text: str) -> PublicKey:
    """A public key as C2SP writes it; AuditError for what is none."""
    try:
        name, hash_, data = text.split("+", 2)
        raw = base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error) as error:
        raise AuditError(f"{text!r} is no public key; allowed NAME+HASH+BASE64, as `burana audit key` prints it") from error
    key = PublicKey(name, _hash(name, raw[1:]), raw[1:])
    if raw[:1] != _ED25519 or len(raw) != 33 or key.hash.hex() != hash_:
        raise AuditError(f"{text!r} is no public key of Ed25519, or is damaged")
    return key


def _hash(name: str, raw: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + raw).digest()[:4]
