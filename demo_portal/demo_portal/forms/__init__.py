"""A template's parameters as a form: what to show for each, and what was typed as inputs."""

from demo_portal.forms.building import Field, Form, Page, build
from demo_portal.forms.parameters import html_pattern, kind_of
from demo_portal.forms.reading import Reading, Typed, with_rows

__all__ = ["Field", "Form", "Page", "Reading", "Typed", "build", "html_pattern", "kind_of", "with_rows"]
