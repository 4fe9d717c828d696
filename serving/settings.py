"""Settings of a running Burana: one typed object, read from a TOML file and the command line, printed without secrets."""

import os
import secrets
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from casework.database import Patience, url_of
from domain.errors import SettingsError
from domain.identifiers import Identifiers
from serving.control import MOST_PASSED, MOST_VERIFIED, Lots, Shares

PATHS = ("home", "models", "profiles")
CARD_KEY_FILE, DATABASE_FILE, STATE_FILE = "card.key", "burana.db", "state.npz"


@dataclass(frozen=True)
class Settings:
    """Where things are and what is allowed.

    home: folder of the card key, the state's snapshot and the database; database_url: another database, such as
    postgresql://USER@HOST:PORT/DATABASE (never printed: it may hold a password); database_answer_s and database_connect_s: how long the
    database may take to answer and to be reached before callers are told to retry; models: folder of the bundles and CHAMPION; profiles: folder
    of the snapshots of profiles, read when the champion asks for profiles; profiles_refresh_s: how often it is looked at for newer
    ones; profiles_days_behind: how many days before the due one a profile may be and still be used;
    max_body: bytes of a request's body; max_pending: operations that may wait for the disk before callers are told to retry;
    deadline_ms: how long an operation's assessment may take before it is answered with what is known so far, at least medium;
    clock_ahead_s: how far in the future an operation may have occurred, for clocks that differ; limit_tyiyn: the amount from
    which an operation is verified whatever else (R22); refresh_s: how often registry, rules and keys are looked at for changes;
    spot_check_s: how often a sample of the served vectors is recomputed by the batch path, 0 for never;
    control_verify_share: of the operations that would be low, the share that is drawn by lot and verified; control_pass_share: of
    those that the score alone would have verified, the share that is drawn and passes (see `serving/control.py`; 0 for none).
    """

    home: Path = Path("data")
    database_url: str = field(default="", repr=False)
    database_answer_s: float = 5
    database_connect_s: int = 3
    models: Path = Path("models")
    profiles: Path = Path("profiles/snapshots")
    host: str = "127.0.0.1"
    port: int = 8000
    max_body: int = 65_536
    max_pending: int = 4_096
    deadline_ms: float = 50.0
    clock_ahead_s: int = 300
    limit_tyiyn: int = 10_000_000_000
    refresh_s: float = 0.5
    spot_check_s: float = 3_600
    profiles_refresh_s: float = 5
    profiles_days_behind: int = 2
    control_verify_share: float = 0.0
    control_pass_share: float = 0.0
    require_model: bool = field(default=True)

    def __post_init__(self) -> None:
        bounds = {"port": (0, 65_535), "max_body": (1_024, 2**24), "max_pending": (1, 10**6), "clock_ahead_s": (0, 86_400), "deadline_ms": (0.001, 60_000),
                  "limit_tyiyn": (1, 10**12), "database_answer_s": (0.1, 600), "database_connect_s": (2, 600), "refresh_s": (0.01, 3_600), "spot_check_s": (0, 10**7),
                  "profiles_refresh_s": (0.01, 3_600), "profiles_days_behind": (0, 30),
                  "control_verify_share": (0, MOST_VERIFIED), "control_pass_share": (0, MOST_PASSED)}  # fmt: skip
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise SettingsError(f"{name}: seen {getattr(self, name)}, allowed {low} to {high}")

    @property
    def shares(self) -> Shares:
        """The control shares."""
        return Shares(self.control_verify_share, self.control_pass_share)

    @property
    def database(self) -> str:
        """The URL of the database: the SQLite file in `home` where no other is named."""
        return self.database_url or url_of(self.home / DATABASE_FILE)

    @property
    def patience(self) -> Patience:
        """How long a caller's record may wait for the database."""
        return Patience(self.database_answer_s, self.database_connect_s)

    @property
    def state(self) -> Path:
        """The snapshot of the features' state."""
        return self.home / STATE_FILE

    def identifiers(self) -> Identifiers:
        """The normaliser, with the operator's card key."""
        return Identifiers(card_key(self.home))

    def lots(self) -> Lots:
        """Who is drawn for the control share, under a key derived from the card key."""
        return Lots(card_key(self.home))


def load(file: Path | None, **given: Any) -> Settings:
    """Settings of a TOML file, if any, then what the command line gave (None: not given); SettingsError names what is wrong."""
    known = {f.name: f.type for f in fields(Settings)}
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{file}: {error}") from error
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SettingsError(f"{file}: unknown {', '.join(unknown)}; allowed {', '.join(known)}")
    values |= {name: value for name, value in given.items() if value is not None}
    for name in PATHS:
        if name in values:
            values[name] = Path(values[name])
    for name, value in values.items():
        wanted = type(getattr(Settings(), name)) if name not in PATHS else None
        if wanted is not None and not (isinstance(value, wanted) or (wanted is float and isinstance(value, int))):
            raise SettingsError(f"{name}: seen {value!r}, allowed a value of type {wanted.__name__}")
    return replace(Settings(), **values)


def card_key(home: Path) -> bytes:
    """The secret under which card numbers are hashed: made on first use, readable by its owner only."""
    path = home / CARD_KEY_FILE
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f".{CARD_KEY_FILE}.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32), encoding="ascii")
        try:
            os.link(draft, path)  # the first of several processes wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError as error:
        raise SettingsError(f"{path} is not a key in hexadecimal; restore it, card hashes depend on it") from error
