"""The build backend: setuptools', whose archives are the same for the same sources, whoever builds them, where and when."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
import zipfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 every hook that is not below is setuptools' own

EARLIEST = 315_532_800
"""1980-01-01, the first moment that a zip archive can name: of a build that is told none by SOURCE_DATE_EPOCH."""


Settings = dict[str, str | list[str]]


def build_sdist(sdist_directory: str, config_settings: Settings | None = None) -> str:
    """Build the source archive, and write it again without what differs from build to build; returns its name."""
    name = build_meta.build_sdist(sdist_directory, config_settings)
    archive = Path(sdist_directory, name)
    archive.write_bytes(_tar_alike(archive.read_bytes()))
    return name


def build_wheel(
    wheel_directory: str, config_settings: Settings | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel, and write it again without what differs from tree to tree; returns its name."""
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    archive = Path(wheel_directory, name)
    archive.write_bytes(_zip_alike(archive.read_bytes()))
    return name


def _moment() -> int:
    return max(EARLIEST, int(os.environ.get("SOURCE_DATE_EPOCH", EARLIEST)))


def _mode(is_program: bool) -> int:  # noqa: FBT001 a bit of a mode
    return 0o755 if is_program else 0o644


def _tar_alike(packed: bytes) -> bytes:
    written = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as source,
        gzip.GzipFile(fileobj=written, mode="wb", filename="", mtime=_moment()) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            content = source.extractfile(member) if member.isfile() else None
            member.mtime, member.uid, member.gid, member.uname, member.gname = _moment(), 0, 0, "", ""
            member.mode, member.pax_headers = _mode(member.isdir() or bool(member.mode & 0o100)), {}
            target.addfile(member, content)
    return written.getvalue()


def _zip_alike(packed: bytes) -> bytes:
    written = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(packed)) as source,
        zipfile.ZipFile(written, "w", compression=zipfile.ZIP_DEFLATED) as target,
    ):
        for member in sorted(source.infolist(), key=lambda member: member.filename):
            alike = zipfile.ZipInfo(member.filename, time.gmtime(_moment())[:6])
            alike.external_attr = (0o100000 | _mode(bool(member.external_attr >> 16 & 0o100))) << 16
            alike.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(alike, source.read(member))
    return written.getvalue()
