"""Opening Feast's stores of a folder: registry and SQLite files in it, or a Valkey or Redis by its URL."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from feast import FeatureStore

from domain.errors import SettingsError
from domain.whole_file import write_whole
from features.feast_repo.views import objects
from features.feature_set import FeatureSet

CONFIGURATION = "feature_store.yaml"
FORGET_AFTER_SECONDS = 7 * 86_400
"""A Redis drops profiles that no day has written again: those who have been silent for the window (a snapshot takes one day's)."""


def open_store(folder: Path, online: str | None = None) -> FeatureStore:
    """The stores of a folder; `feature_store.yaml` is written there, so that `feast` itself finds them too.

    online: `redis://[:PASSWORD@]HOST:PORT[/DATABASE]` (`rediss` with TLS, `valkey` likewise), remembered by the folder; an SQLite
    file in the folder when none was ever named. SettingsError for another URL.
    """
    folder = folder.absolute()
    path = folder / CONFIGURATION
    if online is not None or not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # the connection may hold a password: its owner reads it, nobody else
        write_whole(path, yaml.safe_dump(_configuration(folder, online), sort_keys=False), 0o600)
    return FeatureStore(repo_path=str(folder))


def register(store: FeatureStore, folder: Path, features: FeatureSet) -> None:
    """`feast apply` of what the declarations say; services of other declarations stay, so that older models find theirs."""
    with quiet():
        store.apply(objects(folder.absolute(), features))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what Feast prints in colours, logs about its cache, and warns of in what it depends on."""
    logging.getLogger("feast").setLevel(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "On demand feature view is an experimental feature", RuntimeWarning)
        warnings.filterwarnings("ignore", "fetch_arrow_table", DeprecationWarning)
        yield


def _configuration(folder: Path, online: str | None) -> dict[str, object]:
    return {
        "project": "burana",
        "provider": "local",
        "registry": {"path": str(folder / "registry.db")},
        "offline_store": {"type": "duckdb"},
        "online_store": {"type": "sqlite", "path": str(folder / "online.db")} if online is None else _redis(online),
        "entity_key_serialization_version": 3,
    }


def _redis(url: str) -> dict[str, object]:
    try:
        parts = urlsplit(url)
        port = 6379 if parts.port is None else parts.port
    except ValueError:  # a port that is none; what it says may quote a part of the password
        raise _unknown(url) from None
    if parts.scheme not in ("redis", "rediss", "valkey", "valkeys") or not parts.hostname or port == 0:
        raise _unknown(url)
    if "," in unquote(f"{parts.username}{parts.password}"):
        raise SettingsError(
            f"online store at {parts.hostname}: seen a comma in its user or password, at which Feast cuts them; choose another"
        )
    options = [f"{parts.hostname}:{port}"]
    options += [f"db={parts.path[1:]}"] if parts.path[1:] else []
    options += [f"username={unquote(parts.username)}"] if parts.username else []
    options += [f"password={unquote(parts.password)}"] if parts.password else []
    options += ["ssl=true"] if parts.scheme.endswith("ss") or parts.scheme == "valkeys" else []
    return {"type": "redis", "connection_string": ",".join(options), "key_ttl_seconds": FORGET_AFTER_SECONDS}


def _unknown(url: str) -> SettingsError:
    """Without what stands before the host: it may be a password."""
    seen = url.rpartition("@")[2]
    return SettingsError(f"online store: seen {seen!r}, allowed redis://[:PASSWORD@]HOST:PORT[/DATABASE], rediss for TLS")
