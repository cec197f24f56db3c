"""A checked software template: its steps, its snapshot that a run keeps, and the check of a user's inputs against it.

``loader`` makes templates of files. ``step_rendering`` renders a template's steps when it runs.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from portal_actions_plugin.run_types import RepositoryCommit
from portal_actions_plugin.software_templates import parts
from portal_actions_plugin.software_templates.languages import LANGUAGES, Language
from portal_actions_plugin.software_templates.parameters import schemas
from portal_actions_plugin.software_templates.parameters.choices import Choices
from portal_actions_plugin.software_templates.parameters.when import as_branch, as_published
from portal_actions_plugin.software_templates.places import calls_status
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.host import TemplatePart
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.parameters.pages import FormCheck
    from portal_actions_plugin.software_templates.parameters.schemas import Schema
    from portal_actions_plugin.software_templates.places import Key


USER_OAUTH_TOKEN = "USER_OAUTH_TOKEN"  # noqa: S105 a name
"""What the format calls the requester's own token at a forge."""

_MAX_VARIANTS = 32
ITEMS_OF_A_STEP = 1_000_000
"""More than the items of any step: those of a step that has the id of an earlier one are counted from here on."""

StepSnapshot = TypedDict(
    "StepSnapshot",
    {
        "id": str,
        "name": str,
        "action": str,
        "input": "dict[str, JsonValue]",
        "if": "JsonValue",
        "tags": NotRequired[list[str]],
        "each": NotRequired["JsonValue"],
        "concurrency": NotRequired[int],
    },
)
"""A step as a run keeps it. ``input``, ``if`` and ``each`` are unrendered."""


class TemplateSnapshot(TypedDict):
    """A template as a run keeps it, with the names and meanings of ``Template``'s attributes."""

    name: str
    title: str
    description: str
    tags: list[str]
    owner: str
    type: str
    parameters: list[dict[str, Any]]
    steps: list[StepSnapshot]
    output: dict[str, JsonValue]
    permissions: list[str]
    version: str
    folder: str | None
    skeleton_files: dict[str, str]
    api_version: NotRequired[str]
    source: NotRequired[dict[str, str]]
    user_entity: NotRequired[dict[str, JsonValue]]
    """What the catalog had of the requester of that run, where the template names it."""
    withheld_parameters: NotRequired[list[str]]
    withheld_steps: NotRequired[list[str]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: an action and its input.

    Attributes:
        id: later steps name it. In a document of Backstage several steps may have one: it is the last of them that ran.
        name: what pages show.
        action: an action's id, such as ``scm.createRepo@v1``.
        input: unrendered.
        condition: the unrendered ``if``, a text, true or false; None when there is none.
        tags: of its ``backstage:permissions``.
        each: the unrendered list or object that it goes through, item by item; None when it is done once.
        concurrency: of its items, so many are done at a time.
    """

    id: str
    name: str
    action: str
    input: Mapping[str, JsonValue] = field(default_factory=dict)
    condition: JsonValue = None
    tags: tuple[str, ...] = ()
    each: JsonValue = None
    concurrency: int = 1

    @property
    def is_unconditional(self) -> bool:
        """Whether every run that gets so far does it."""
        return holds_always(self.condition)

    @property
    def texts(self) -> Iterator[str]:
        """Every text that may have an expression."""
        return texts_of([self.input, self.condition, self.each])

    @property
    def open_to_secrets(self) -> JsonValue:
        """Its parts whose expressions may name secrets."""
        return [self.input, self.each]


@dataclass(frozen=True)
class Template:
    """A checked software template.

    Attributes:
        parameters: one JSON Schema object per page of the form, as written.
        output: unrendered.
        permissions: demanded of the requester beyond ``template:run``.
        version: of the definition and its skeleton files, see ``fingerprint``.
        folder: the absolute folder of the template's file; None when it came from elsewhere.
        skeleton_files: SHA-256 of each skeleton file by its path below ``folder``.
        reading: how its document is read.
        source: the repository and the commit that it was read from; None where it came from elsewhere.
        presentation: what its author calls the buttons of the form, as ``spec.presentation`` has it.
        withheld_parameters: what its author has tagged, and somebody may not have: it is as if it were not given.
        withheld_steps: the ids of such steps.
    """

    name: str
    title: str
    description: str
    tags: tuple[str, ...]
    owner: str
    type: str
    parameters: tuple[Schema, ...]
    steps: tuple[Step, ...]
    output: Mapping[str, JsonValue]
    permissions: tuple[str, ...]
    version: str
    folder: str | None = None
    skeleton_files: Mapping[str, str] = field(default_factory=dict)
    reading: Reading = Reading.STRICT
    source: RepositoryCommit | None = None
    presentation: Mapping[str, JsonValue] = field(default_factory=dict)
    withheld_parameters: tuple[str, ...] = ()
    withheld_steps: tuple[str, ...] = ()

    @property
    def language(self) -> Language:
        """How its expressions are evaluated."""
        return LANGUAGES[self.reading]

    def snapshot(self) -> TemplateSnapshot:
        """Write the template as JSON values, to be kept with a run. They share nothing with the template."""
        written: TemplateSnapshot = {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "tags": list(self.tags),
            "owner": self.owner,
            "type": self.type,
            "parameters": [deepcopy(dict(page)) for page in self.parameters],
            "steps": [
                {
                    "id": step.id,
                    "name": step.name,
                    "action": step.action,
                    "input": deepcopy(dict(step.input)),
                    "if": step.condition,
                }
                for step in self.steps
            ],
            "output": deepcopy(dict(self.output)),
            "permissions": list(self.permissions),
            "version": self.version,
            "folder": self.folder,
            "skeleton_files": dict(self.skeleton_files),
        }
        if self.reading is not Reading.STRICT:  # workers of the version before know no other
            written["api_version"] = self.reading.value
        if self.source:
            written["source"] = asdict(self.source)
        for step, kept in zip(self.steps, written["steps"], strict=True):
            if step.tags:  # as of the reading
                kept["tags"] = list(step.tags)
            if step.each is not None:
                kept["each"] = deepcopy(step.each)
            # Workers that know neither would end a failed run as a success: a key that is new to them stops them.
            if step.concurrency != 1 or calls_status(step.condition):
                kept["concurrency"] = step.concurrency
        if self.withheld_parameters:
            written["withheld_parameters"] = list(self.withheld_parameters)
        if self.withheld_steps:
            written["withheld_steps"] = list(self.withheld_steps)
        return written

    @classmethod
    def from_snapshot(cls, snapshot: Mapping[str, object]) -> Template:
        """Read back what ``snapshot`` wrote, perhaps another version of this code.

        Raises:
            KeyError, TypeError: it has not the keys that a template of this version has.
        """
        data: dict[str, Any] = deepcopy(dict(snapshot))
        data.pop("user_entity", None)
        data["source"] = RepositoryCommit.from_json(data.get("source"))
        steps = tuple(
            Step(condition=step.pop("if"), tags=tuple(step.pop("tags", ())), **step) for step in data.pop("steps")
        )
        data |= {name: tuple(data[name]) for name in ("tags", "parameters", "permissions")}
        data |= {name: tuple(data[name]) for name in ("withheld_parameters", "withheld_steps") if name in data}
        return cls(steps=steps, reading=Reading.of(data.pop("api_version", None)), **data)

    def first_item(self, position: int) -> int:
        """The number of the first item of a step, which tells apart the runs of steps that have one id.

        Args:
            position: the step's index.
        """
        own = self.steps[position].id
        return ITEMS_OF_A_STEP * sum(step.id == own for step in self.steps[:position])

    def inputs_schema(self) -> dict[str, Any]:
        """One JSON Schema (2020-12) of all pages. An unknown field is refused unless a page says otherwise.

        Where a condition declares fields of its own, that is ``unevaluatedProperties: false``; else
        ``additionalProperties: false``.
        """
        return schemas.merge_pages(list(map(as_branch, self.parameters)), self.title)

    @cached_property
    def published_schema(self) -> dict[str, Any]:
        """``inputs_schema`` for those who give inputs: it refuses what a start refuses, and nothing else."""
        from portal_actions_plugin.software_templates.parameters.published import published  # as of the checks

        pages = [as_published(page, self.reading) for page in self.parameters]
        return published(schemas.merge_pages(pages, self.title), self.reading)

    @cached_property
    def tagged(self) -> tuple[tuple[Key, TemplatePart], ...]:
        """The parts that its author has tagged, each with its place."""
        return tuple(parts.tagged_parts(self))

    @cached_property
    def _variants(self) -> dict[frozenset[Key], Template]:
        return {}

    def without(self, places: frozenset[Key]) -> Template:
        """The template for somebody who may not have its parts at these places. It is made once for each set of them."""
        found = self._variants.get(places) if places else self
        if found is None:
            if len(self._variants) >= _MAX_VARIANTS:
                self._variants.clear()
            found = self._variants[places] = parts.without(self, places)
        return found

    @cached_property
    def parameter_names(self) -> frozenset[str]:
        """The top-level parameters, also those that only a condition asks for."""
        return frozenset(schemas.declared(self.inputs_schema())).union(self.withheld_parameters)

    @cached_property
    def secret_names(self) -> frozenset[str]:
        """The top-level parameters with ``ui:field: Secret`` or ``writeOnly: true``."""
        declared = schemas.declared(self.inputs_schema())
        return frozenset(name for name, found in declared.items() if any(map(schemas.is_secret, found)))

    @cached_property
    def names_user_entity(self) -> bool:
        """Whether an expression names ``user.entity``, or all of ``user``."""
        of_steps = (text for step in self.steps for text in step.texts)
        return any(
            ("user", "entity") in found.members or "user" in found.whole
            for text in (*texts_of(self.output), *of_steps)
            if "user" in text
            for found in self.language.references(text)
        )

    @cached_property
    def requester_secrets(self) -> frozenset[str]:
        """The requester's own secrets that steps name as ``secrets.x``, such as ``USER_OAUTH_TOKEN``."""
        return frozenset().union(*map(self.requester_secrets_of, range(len(self.steps))))

    def requester_secrets_of(self, position: int) -> frozenset[str]:
        """Those that one step names; ``position`` is its index."""
        named = secrets_named(self.steps[position].open_to_secrets, self.language)
        return named & self.askable_secrets - self.secret_names if named else frozenset()

    @cached_property
    def askable_secrets(self) -> frozenset[str]:
        """The requester's own secrets that steps may name: the usual one, and those that a parameter's picker asks for."""
        found = (schema for page in self.parameters for _, schema in schemas.subschemas(page))
        return frozenset({USER_OAUTH_TOKEN}).union(*map(schemas.requested_secrets, found))

    def shown(self, inputs: Mapping[str, JsonValue], left_empty: Collection[Key] = ()) -> tuple[Schema, ...]:
        """What a form shows to somebody who has answered so far: each page that is shown as a plain JSON Schema object.

        Its conditions (``if``, ``dependencies``, ``oneOf`` and the like) and ``$ref``s are worked out, so that
        ``properties`` and ``required`` say all, in nested objects too. The ``items`` of a list are those of a new one;
        ``prefixItems`` has those that are there.

        Args:
            inputs: the answers by parameter; the defaults count where one is missing.
            left_empty: the places of fields that were left empty, where no default counts.

        Raises:
            ValidationError: it takes too long to work them out.
        """
        return self.input_check.shown_pages(inputs, left_empty)

    @property
    def choices(self) -> Choices:
        """What its form offers."""
        return Choices(self.parameters)

    @cached_property
    def input_check(self) -> FormCheck:
        """What checks a user's inputs, made once for all runs of the template."""
        from portal_actions_plugin.software_templates.parameters.pages import (
            FormCheck,  # as the loader says of its checks
        )

        return FormCheck(self.parameters, self.name, self.reading, frozenset(self.withheld_parameters))


def holds_always(condition: JsonValue) -> bool:
    """Whether an ``if`` holds whatever the run is."""
    return condition in (None, "", True, "true")


def repeated_ids(steps: Sequence[Step]) -> frozenset[str]:
    """The ids that more than one step has: which of them has run last is known only then."""
    counts = Counter(step.id for step in steps)
    return frozenset(step_id for step_id, count in counts.items() if count > 1)


def texts_of(value: JsonValue) -> Iterator[str]:
    """Every text in a value, at every depth; keys are none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from texts_of(part)


def secrets_named(value: JsonValue, language: Language) -> frozenset[str]:
    """What the expressions in a value name as ``secrets.x``."""
    texts = (text for text in texts_of(value) if "secrets" in text)
    return frozenset().union(*(found.secrets for text in texts for found in language.references(text)))


def validate_inputs(template: Template, inputs: object, left_empty: Collection[Key] = ()) -> dict[str, JsonValue]:
    """Apply the defaults and check a user's inputs.

    Args:
        template: whose parameters say what is asked for.
        inputs: what the user gave, secrets too.
        left_empty: the places of fields whose defaults are not applied: the user saw them, and left them empty.

    Returns:
        The inputs with defaults, in nested objects too.

    Raises:
        ValidationError: ``fields`` has the messages of every wrong field, nested as the inputs are. No value is in them.
    """
    return template.input_check.fill(inputs, left_empty)


def fingerprint(definition: JsonValue, skeleton_files: Mapping[str, str]) -> str:
    """The version of a template: 16 hex digits, which change with anything that it says.

    Args:
        definition: its whole document.
        skeleton_files: SHA-256 of each skeleton file by its path below the template's folder.
    """
    canonical = json.dumps(
        [definition, dict(skeleton_files)], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
