"""Where workspaces are kept, as ``PORTAL_ACTIONS_WORKSPACES`` says it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.settings.values import PREFIX, wrong

NAME = "WORKSPACES"
DATABASE = "database"

_TAKES = (
    "a folder such as /srv/portal/workspaces, s3://bucket/prefix, or 'database' where that is PostgreSQL; "
    "a bucket's address may end with ?endpoint=https://… and &region=…"
)


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder, shared by all machines of the portal.

    Attributes:
        is_beside_database: whether it belongs to one SQLite file, and no other portal can have it too.
    """

    folder: Path
    is_beside_database: bool = False


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A bucket that speaks as Amazon's S3 does.

    Attributes:
        prefix: what the keys of its objects begin with; without a slash at either end.
        endpoint: its address; None for Amazon's.
        region: None for what the environment says.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """The portal's own PostgreSQL."""


Place = FolderPlace | BucketPlace | DatabasePlace


def part_of(place: Place, identity: str) -> str | None:
    """Where in a place that several portals share one of them has its contents, for people; None in one that is its own.

    Args:
        place: the setting.
        identity: of the portal's database.
    """
    if isinstance(place, BucketPlace):
        return f"s3://{'/'.join(part for part in (place.bucket, place.prefix, identity) if part)}"
    if isinstance(place, FolderPlace) and not place.is_beside_database:
        return str(place.folder / identity)
    return None


def read_place(value: object, database_url: str) -> Place:
    """Read the setting.

    Args:
        value: as it is set; None for the default.
        database_url: the portal's database, as SQLAlchemy takes it.

    Raises:
        ConfigurationError: it is no place, or one that this database does not have.
    """
    is_sqlite = database_url.startswith("sqlite")
    if value in (None, ""):
        return _beside(database_url) if is_sqlite else DatabasePlace()
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str):
        raise wrong(NAME, value, _TAKES)
    if value == DATABASE:
        if is_sqlite:
            takes = "a folder or a bucket: SQLite has one writer, whom files would keep waiting"
            raise wrong(NAME, value, takes)
        return DatabasePlace()
    if value.startswith("s3:"):
        return _bucket(value)
    if not value.startswith("/"):
        raise wrong(NAME, value, _TAKES)
    return FolderPlace(Path(value))


def _beside(database_url: str) -> FolderPlace:
    file = Path(unquote(database_url.removeprefix("sqlite:///").partition("?")[0])).absolute()
    return FolderPlace(file.with_name(f"{file.name}-workspaces"), is_beside_database=True)


def _bucket(value: str) -> BucketPlace:
    try:
        parts = urlsplit(value)
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise wrong(NAME, value, _TAKES) from None
    endpoint = options.get("endpoint")
    if "@" in parts.netloc or not parts.netloc or options.keys() - {"endpoint", "region"}:
        shown = value if "@" not in parts.netloc else "an address with a name or a password in it"
        raise wrong(NAME, shown, f"{_TAKES}; credentials come from the environment, as boto3 reads them")
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise wrong(NAME, value, f"{_TAKES}; the endpoint begins with https://")
    if find_spec("boto3") is None:
        raise ConfigurationError(
            f"{PREFIX}{NAME} is {value!r}: its library boto3 is not installed.",
            hint='Install it: pip install "portal-actions-plugin[s3]".',
        )
    return BucketPlace(parts.netloc, parts.path.strip("/"), endpoint, options.get("region"))
