"""Verify an export of Burana's audit log without Burana: Python 3.11 and `cryptography`, nothing else.

    python verify_audit.py FOLDER [KEY ...]

KEY: the operator's public key as he gave it to you, NAME+HASH+BASE64; without one, those in the export, which you then compare.
What it computes is said byte for byte in deploy/AUDIT.md: chain, tree, checkpoints, and the decisions where they were exported.
"""

import hashlib
import json
import sys
from base64 import b64decode
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha256(data: bytes) -> bytes:
    """SHA-256; of a leaf with a zero byte before it, of a node with a byte of 1 (RFC 9162)."""
    return hashlib.sha256(data).digest()


def levels_of(leaves: list[bytes]) -> list[list[bytes]]:
    """The hashes of all full subtrees, by height."""
    levels = [leaves]
    while len(below := levels[-1]) > 1:
        levels.append([sha256(b"\1" + left + right) for left, right in zip(below[::2], below[1::2], strict=False)])
    return levels


def root(levels: list[list[bytes]], size: int) -> bytes:
    """The root over the first leaves: the full subtrees that they fall into, from the right."""
    found = b""
    for height, level in enumerate(levels):
        if size >> height & 1:
            left = level[(size >> height) - 1]
            found = sha256(b"\1" + left + found) if found else left
    return found or sha256(b"")


def signed(note: str, keys: list[str]) -> tuple[int, bytes]:
    """Size and root that one of the keys has signed (C2SP tlog-checkpoint)."""
    said, _, signatures = note.rpartition("\n\n")
    origin, size, root_ = said.split("\n")[:3]
    for name, key in ((key.split("+")[0], b64decode(key.split("+", 2)[2])) for key in keys):
        for signature in (b64decode(line.split(" ")[2]) for line in signatures.splitlines()):
            if name == origin and signature[:4] == sha256(f"{name}\n".encode() + key)[:4]:
                Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], f"{said}\n".encode())
                return int(size), b64decode(root_)
    raise ValueError(f"none of {len(keys)} keys signed the checkpoint of {size} entries")


def check_log(folder: Path, keys: list[str]) -> str:
    """What an export holds, in words; ValueError for the first thing that is wrong."""
    if wrong := [key for key in keys if key.count("+") < 2]:
        raise ValueError(f"{wrong[0]} is no public key, NAME+HASH+BASE64")
    leaves, batches, previous, number = [], [], "0" * 64, 0
    for line in (folder / "audit.jsonl").open("rb"):
        entry, hash_ = json.loads(line), sha256(b"\0" + line.removesuffix(b"\n"))
        if entry["previous"] != previous or entry["audit_id"] <= number:
            raise ValueError(f"entry {entry['audit_id']} does not follow entry {number}")
        previous, number = hash_.hex(), entry["audit_id"]
        leaves.append(hash_)
        if entry["kind"] == "decisions":
            batches.append(entry["after"])
    levels, size, files = levels_of(leaves), 0, sorted(folder.glob("*.checkpoint"))
    for file in files:
        of, wanted = signed(file.read_text(encoding="utf-8"), keys)
        size = max(size, of)
        if of > len(leaves) or root(levels, of) != wanted:
            raise ValueError(f"{file.name} was signed of {of} other entries: the log was cut, rolled back or rewritten")
    ledger = folder / "ledger.bin"
    if ledger.exists():
        check_ledger(ledger, batches)
    of_decisions = f"{len(batches)} batches of decisions" + (", verified" if ledger.exists() else ", not in the export")
    return f"{len(leaves)} entries up to number {number}, {size} of them signed, {len(files)} checkpoints, {of_decisions}"


def check_ledger(file: Path, batches: list[dict[str, int | str]]) -> None:
    """ValueError for the first batch whose entries are not those that its root was made of."""
    with file.open("rb") as opened:
        for batch in batches:
            count = int(batch["last"]) - int(batch["first"]) + 1
            leaves = [sha256(b"\0" + opened.read(int.from_bytes(opened.read(4), "big"))) for _ in range(count)]
            if root(levels_of(leaves), count).hex() != batch["root"]:
                raise ValueError(f"the ledger's entries {batch['first']} to {batch['last']} are not what they were")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("python verify_audit.py FOLDER [KEY ...]")
    export = Path(sys.argv[1])
    try:
        print(check_log(export, sys.argv[2:] or (export / "keys").read_text(encoding="utf-8").split()))
    except (ValueError, TypeError, LookupError, OSError, InvalidSignature) as error:
        sys.exit(f"NOT VALID: {error!r}")
