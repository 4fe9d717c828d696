"""Checkpoints: how large the audit log was and what its root was, signed, in files outside the database.

The form is C2SP tlog-checkpoint in a signed note: origin, size, root in base64, a blank line, signatures. Whoever has one can tell
that the log was rolled back, cut or rewritten since, whatever was done to the database. A day has one file, written anew as
the log grows; those of the days before stay.
"""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from casework.audit_keys import PrivateKey, PublicKey
from casework.merkle import Tree
from domain.errors import AuditError
from domain.file_lock import held
from domain.whole_file import write_whole

SUFFIX = ".checkpoint"
_BASE64 = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_NOTE = re.compile(
    r"(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]{0,18})\n(?P<root>[A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*"
    rf"\n(?:— [^ \n]+ {_BASE64}\n)+"
)


@dataclass(frozen=True)
class Checkpoint:
    """A signed statement; text: the whole note."""

    origin: str
    size: int
    root: bytes
    text: str

    def signed_by(self, keys: Sequence[PublicKey]) -> PublicKey | None:
        """The first of the keys that signed it, under the log's own name; None where none did."""
        said, _, lines = self.text.rpartition("\n\n")
        for _, name, signature in (line.split(" ") for line in lines.splitlines()):
            raw = base64.b64decode(signature)
            for key in keys:
                is_named = (name, name, raw[:4]) == (key.name, self.origin, key.hash)
                if is_named and key.has_signed(f"{said}\n".encode(), raw[4:]) and _base64(raw) == signature:
                    return key
        return None


def signed(tree: Tree, keys: Sequence[PrivateKey]) -> Checkpoint:
    """A checkpoint of a tree, by each of the keys, which have one name."""
    origin, size, root = keys[0].name, len(tree), tree.root()
    said = f"{origin}\n{size}\n{_base64(root)}\n"
    lines = [f"— {key.name} {_base64(key.public.hash + key.key.sign(said.encode()))}\n" for key in keys]
    return Checkpoint(origin, size, root, said + "\n" + "".join(lines))


def parsed(text: str, of: object = "the checkpoint") -> Checkpoint:
    """What a note says, its signatures not yet looked at; AuditError where it is none."""
    if (found := _NOTE.fullmatch(text)) is None:
        raise AuditError(f"{of} is no signed checkpoint (C2SP tlog-checkpoint)")
    return Checkpoint(found["origin"], int(found["size"]), base64.b64decode(found["root"]), text)


def read(folder: Path) -> list[tuple[Path, Checkpoint]]:
    """Every file of a folder with what it says, the smallest log first; AuditError for one that is no checkpoint."""
    files = [(file, parsed(_text(file), file)) for file in folder.glob(f"*{SUFFIX}")]
    return sorted(files, key=lambda one: (one[1].size, one[0]))


def sign(now: Callable[[], Tree], key: PrivateKey, folder: Path, day: date, older: Sequence[PrivateKey] = ()) -> Checkpoint:
    """Sign what the log is now and write it to the file of the day; the last one again where nothing came since.

    now: reads the log, asked once the folder was read, so that it is not behind it; older: keys that sign too, when a new one
    takes over. AuditError, and nothing is signed, where the log is not the one that the last checkpoint was signed of: what was
    rolled back or rewritten must not get a signature.
    """
    # a smaller log must not take the place of a larger one that another process signed meanwhile
    with held(folder / ".lock", is_patient=True):
        found, tree = read(folder), now()
        if found:
            file, last = found[-1]
            continues(tree, last, file)
            if last.size == len(tree) and not older:
                return last
        made = signed(tree, [key, *older])
        write_whole(folder / f"{day}{SUFFIX}", made.text)
    return made


def continues(tree: Tree, checkpoint: Checkpoint, of: object) -> None:
    """AuditError unless the log begins with what a checkpoint says."""
    if checkpoint.size > len(tree):
        raise AuditError(
            f"the log has {len(tree)} entries, and {of} was signed of {checkpoint.size}: it was cut or rolled back"
        )
    if tree.root(checkpoint.size) != checkpoint.root:
        raise AuditError(f"the first {checkpoint.size} entries are not those that {of} was signed of: they were rewritten")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise AuditError(f"{file} cannot be read: {error}") from error
