"""Settings of a running Burana: one typed object, read from a TOML file and the command line, printed without secrets."""

import os
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from casework.database import Patience, url_of
from domain.errors import SettingsError
from domain.identifiers import Identifiers
from serving.control import MOST_PASSED, MOST_VERIFIED, Lots, Shares
from serving.logs import Decided, Format
from serving.rates import Rate, rates_of

PATHS = ("home", "models", "profiles", "checkpoints")
LEAST_KEY = 16
"""Bytes of a card key: what is hashed and signed under a shorter one, such as an empty file, is nobody's secret."""
CARD_KEY_FILE, DATABASE_FILE, STATE_FILE = "card.key", "burana.db", "state.npz"


def _setting(
    default: Any, meaning: str, least: float | None = None, most: float | None = None, *, secret: bool = False
) -> Any:
    """A field that says what it means, and the bounds of its value; one that is secret is never printed."""
    bounds = None if least is None else (least, most)
    return field(default=default, repr=not secret, metadata={"meaning": meaning, "bounds": bounds, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """Where things are and what is allowed; each field says what it means. SettingsError for a value out of its bounds."""

    home: Path = _setting(Path("data"), "folder of the card key, the features' snapshot and the SQLite database")
    database_url: str = _setting(
        "", "another database: postgresql://USER@HOST:PORT/DATABASE; never printed, it may hold a password", secret=True
    )
    database_answer_s: float = _setting(
        5.0, "how long the database may take to answer before callers are told to retry", 0.1, 600
    )
    database_connect_s: int = _setting(3, "how long it may take to be reached", 2, 600)
    standby: bool = _setting(False, "follow the ledger while another process holds it, and take over when it lets go")
    models: Path = _setting(Path("models"), "folder of the bundles and CHAMPION")
    profiles: Path = _setting(
        Path("profiles/snapshots"), "folder of the snapshots of profiles, read when the champion asks for profiles"
    )
    profiles_refresh_s: float = _setting(5.0, "how often it is looked at for newer ones", 0.01, 3_600)
    profiles_days_behind: int = _setting(2, "how many days before the due one a profile may be and still be used", 0, 30)
    checkpoints: Path = _setting(
        Path("checkpoints"), "folder of the audit log's signed checkpoints; better on another machine than the database"
    )
    audit_batch_s: float = _setting(
        60.0, "how often the newest entries of the ledger join the audit log, by one root over them; 0: never", 0, 86_400
    )
    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(8000, "port to listen on", 0, 65_535)
    max_body: int = _setting(65_536, "bytes of a request's body", 1_024, 2**24)
    request_timeout_s: float = _setting(
        10.0,
        "from the first byte of a request to its last, and how long a connection may be silent before its first",
        0.1,
        600,
    )
    signature_window_s: int = _setting(60, "how far the moment of a signature may be from now", 1, 600)
    rate_per_s: float = _setting(0.0, "requests a second of one key on average; 0: no limit", 0, 10**6)
    rate_burst: int = _setting(1_000, "requests of one key at once, where there is a limit", 1, 10**6)
    rates: Mapping[str, Rate] = field(
        default_factory=dict, metadata={"meaning": "the same for callers by name: [rates.NAME] with per_s and burst"}
    )
    max_pending: int = _setting(4_096, "operations that may wait for the disk before callers are told to retry", 1, 10**6)
    deadline_ms: float = _setting(
        50.0,
        "how long an assessment may take before it is answered with what is known so far, at least medium",
        0.001,
        60_000,
    )
    clock_ahead_s: int = _setting(
        300, "how far in the future an operation may have occurred, for clocks that differ", 0, 86_400
    )
    limit_tyiyn: int = _setting(
        10_000_000_000, "the amount from which an operation is verified whatever else (R22)", 1, 10**12
    )
    refresh_s: float = _setting(0.5, "how often registry, rules, keys and readiness are looked at", 0.01, 3_600)
    snapshot_s: float = _setting(
        300.0,
        "how old the features' snapshot becomes before a process beside writes a new one; 0: only a stop writes it",
        0,
        10**7,
    )
    least_free_mib: int = _setting(
        512, "MiB of the disk of `home` that stay free: below, /readyz is 503 and no snapshot is written", 0, 10**6
    )
    drain_s: int = _setting(20, "how long a stop waits for the records under way", 1, 600)
    spot_check_s: float = _setting(
        3_600.0, "how often a sample of the served vectors is recomputed by the batch path; 0: never", 0, 10**7
    )
    control_verify_share: float = _setting(
        0.0, "of the operations that would be low, the share that is drawn by lot and verified", 0, MOST_VERIFIED
    )
    control_pass_share: float = _setting(
        0.0, "of those that the score alone would have verified, the share that is drawn and passes", 0, MOST_PASSED
    )
    log_format: str = _setting(Format.TEXT, "text or json")
    log_decisions: str = _setting(
        Decided.STOPPED, "which decisions get a line in the log: none, stopped (medium and high) or all"
    )
    propose_entries: bool = _setting(
        True, "whether high-risk decisions propose entries of the registry, for a person to confirm (R40)"
    )
    listing_rules: str = _setting(
        "", "ids of the rules, with blanks between, whose word confirms what they spoke for; empty: none"
    )
    require_model: bool = _setting(True, "whether there must be a champion; without one every operation is verified")

    def __post_init__(self) -> None:
        for name, words in (("log_format", Format), ("log_decisions", Decided)):
            if getattr(self, name) not in list(words):
                raise SettingsError(f"{name}: seen {getattr(self, name)!r}, allowed {', '.join(words)}")
        for each in fields(self):
            bounds = each.metadata.get("bounds")
            if bounds and not bounds[0] <= getattr(self, each.name) <= bounds[1]:
                raise SettingsError(f"{each.name}: seen {getattr(self, each.name)}, allowed {bounds[0]} to {bounds[1]}")

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

    @property
    def has_card_key(self) -> bool:
        """Whether there is a card key already; `card_key` makes one where there is none."""
        return (self.home / CARD_KEY_FILE).exists()

    def card_key(self) -> bytes:
        """The operator's card key, from which other secrets are derived too."""
        return card_key(self.home)

    def identifiers(self) -> Identifiers:
        """The normaliser, with the operator's card key."""
        return Identifiers(self.card_key())

    def lots(self) -> Lots:
        """Who is drawn for the control share, under a key derived from the card key."""
        return Lots(self.card_key())


def load(file: Path | None, **given: Any) -> Settings:
    """Settings of a TOML file, if any, then what the command line gave (None: not given); SettingsError names what is wrong."""
    known = {f.name: f.type for f in fields(Settings)}
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:  # no file, no UTF-8, no TOML, or brackets without end
            raise SettingsError(f"{file}: {error}") from error
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SettingsError(f"{file}: unknown {', '.join(unknown)}; allowed {', '.join(known)}")
    values |= {name: value for name, value in given.items() if value is not None}
    if isinstance(tables := values.get("rates"), dict):
        values["rates"] = rates_of(tables)
    for name, value in values.items():
        wanted = str if name in PATHS else _type_of(getattr(Settings(), name))
        if not _is(value, wanted) and not (name in PATHS and isinstance(value, Path)):
            raise SettingsError(f"{name}: seen {value!r}, allowed a value of type {wanted.__name__}")
        if value == "" and name in (*PATHS, "host"):  # here, and every address of the machine
            raise SettingsError(f"{name}: seen nothing, allowed a {'folder' if name in PATHS else 'name or an address'}")
    values |= {name: Path(values[name]) for name in PATHS if name in values}
    return replace(Settings(), **values)


def _type_of(default: object) -> type:
    return str if isinstance(default, str) else type(default)


def _is(value: object, wanted: type) -> bool:
    """Whether a value may stand where one of a type is wanted: a whole number is a number, true and false are none."""
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, wanted) or (wanted is float and isinstance(value, int))


def card_key(home: Path) -> bytes:
    """The secret under which card numbers are hashed: made on first use, readable by its owner only."""
    path = home / CARD_KEY_FILE
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f".{CARD_KEY_FILE}.{os.getpid()}"
        draft.touch(mode=0o600)
        with draft.open("w", encoding="ascii") as file:  # on the disk before anything is hashed under it
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # the first of several processes wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise SettingsError(
            f"the server's user cannot read {path}: {error.strerror}; give it to that user, and to nobody else"
        ) from error
    except ValueError as error:
        raise SettingsError(f"{path} is not a key in hexadecimal; restore it, card hashes depend on it") from error
    if len(key) < LEAST_KEY:
        raise SettingsError(
            f"{path} has {len(key)} bytes, allowed {LEAST_KEY} or more; restore it, card hashes depend on it"
        )
    return key
