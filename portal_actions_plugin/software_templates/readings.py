"""The two readings of a template: what is a problem in our own documents is a warning in those of Backstage."""

from __future__ import annotations

from enum import Enum

from portal_actions_plugin.host import Severity


class Reading(Enum):
    """How a document is read, by its ``apiVersion``."""

    STRICT = "portal-actions/v1"
    BACKSTAGE = "scaffolder.backstage.io/v1beta3"

    @classmethod
    def of(cls, api_version: object) -> Reading:
        """The reading of a document; one of no known version is read strictly."""
        return next((reading for reading in cls if reading.value == api_version), cls.STRICT)

    @property
    def severity(self) -> Severity:
        """How bad it is that something runs at home which had better not be written."""
        return Severity.PROBLEM if self is Reading.STRICT else Severity.WARNING


API_VERSIONS = tuple(reading.value for reading in Reading)
