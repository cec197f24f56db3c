"""Contents in a bucket of S3, or of what speaks as it does: nothing but an account is shared by the machines then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.runs.workspaces.stores.store import TELL_PLATFORM, Shelf, missing, unreachable

if TYPE_CHECKING:
    from portal_actions_plugin.settings.workspaces import BucketPlace

A = TypeVar("A")
B = TypeVar("B")

AT_ONCE = 16
"""Requests under way: each takes tens of milliseconds, and a workspace has thousands of files."""

CONNECT_SECONDS = 5
ANSWER_SECONDS = 30
TRIES = 4
MOST_TO_DELETE = 1000
"""Keys of one request to delete, as S3 has it."""

_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket", "AllAccessDisabled"}
_NOT_THERE = {"NoSuchKey", "404"}


class BucketStore:
    """Keeps each content as an object: ``<prefix>/<portal>/<kind>/<owner>/<name>``."""

    name = "bucket"
    is_near = False

    def __init__(self, place: BucketPlace, portal: str) -> None:
        """Make a client, which asks nothing yet.

        Args:
            place: the bucket.
            portal: what keeps this portal's objects apart from others' in it.
        """
        self._place = place
        self._portal = portal
        self._client = boto3.session.Session().client(
            "s3",
            endpoint_url=place.endpoint,
            region_name=place.region,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=ANSWER_SECONDS,
                retries={"total_max_attempts": TRIES, "mode": "standard"},
                max_pool_connections=AT_ONCE,
                # What other makers than Amazon understand as well.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"} if place.endpoint else {},
            ),
        )

    def describe(self) -> str:
        at = f" at {self._place.endpoint}" if self._place.endpoint else ""
        return f"the bucket {self._place.bucket}{at}"

    def put(self, shelf: Shelf, contents: Iterable[tuple[str, bytes]]) -> None:
        def send(one: tuple[str, bytes]) -> None:
            self._client.put_object(Bucket=self._place.bucket, Key=self._key(shelf, one[0]), Body=one[1])

        with self._asking():
            _at_once(send, contents)

    def get(self, shelf: Shelf, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        def fetch(name: str) -> tuple[str, bytes]:
            try:
                answer = self._client.get_object(Bucket=self._place.bucket, Key=self._key(shelf, name))
            except ClientError as error:
                if _code(error) in _NOT_THERE:
                    raise missing(self.describe(), shelf, name) from None
                raise
            return name, answer["Body"].read()

        with self._asking():
            for start in range(0, len(names), AT_ONCE):
                yield from _at_once(fetch, names[start : start + AT_ONCE])

    def lacks(self, shelf: Shelf, names: Collection[str]) -> set[str]:
        return set(names) - self.sizes(shelf).keys()

    def delete(self, shelf: Shelf, names: Sequence[str]) -> None:
        keys = [self._key(shelf, name) for name in names]
        with self._asking():
            for start in range(0, len(keys), MOST_TO_DELETE):
                some = [{"Key": key} for key in keys[start : start + MOST_TO_DELETE]]
                answer = self._client.delete_objects(Bucket=self._place.bucket, Delete={"Objects": some, "Quiet": True})
                if errors := answer.get("Errors"):
                    raise unreachable(self.describe(), errors[0].get("Code", "it does not delete"))

    def clear(self, shelf: Shelf) -> None:
        self.delete(shelf, list(self.sizes(shelf)))

    def sizes(self, shelf: Shelf) -> Mapping[str, int]:
        prefix = self._key(shelf, "")
        found: dict[str, int] = {}
        with self._asking():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._place.bucket, Prefix=prefix)
            for page in pages:
                found |= {one["Key"].removeprefix(prefix): one["Size"] for one in page.get("Contents", ())}
        return found

    def owners(self, kind: str) -> Iterator[str]:
        prefix = self._key(Shelf(kind, ""), "").rstrip("/") + "/"
        with self._asking():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._place.bucket, Prefix=prefix, Delimiter="/"
            )
            for page in pages:
                for one in page.get("CommonPrefixes", ()):
                    yield one["Prefix"].removeprefix(prefix).rstrip("/")

    def _key(self, shelf: Shelf, name: str) -> str:
        parts = [part for part in (self._place.prefix, self._portal, shelf.kind, shelf.owner) if part]
        return f"{'/'.join(parts)}/{name}"

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except NoCredentialsError:
            raise ConfigurationError(
                f"The store of workspaces, {self.describe()}, needs credentials, and the environment has none.",
                hint="Tell your platform team: boto3 reads them, such as from AWS_ACCESS_KEY_ID, for web and workers.",
            ) from None
        except ClientError as error:
            if _code(error) in _REFUSED:
                raise ConfigurationError(
                    f"The store of workspaces, {self.describe()}, refuses: {_code(error)}.", hint=TELL_PLATFORM
                ) from None
            raise unreachable(self.describe(), _code(error)) from None
        except BotoCoreError as error:
            raise unreachable(self.describe(), type(error).__name__) from None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "an error without a code"))


def _at_once(work: Callable[[A], B], things: Iterable[A]) -> list[B]:
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="workspace") as pool:
        return list(pool.map(work, things))
