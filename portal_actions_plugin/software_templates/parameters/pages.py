"""The pages of a form: which of them are shown for the answers so far, and the check of inputs by those alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.expressions.undefined import Sparse
from portal_actions_plugin.software_templates.languages import LANGUAGES
from portal_actions_plugin.software_templates.parameters.inputs import InputCheck, checking
from portal_actions_plugin.software_templates.parameters.schemas import declared, merge_pages, plain_page
from portal_actions_plugin.software_templates.parameters.shown import flat_pages
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.parameters.schemas import Schema
    from portal_actions_plugin.software_templates.places import Key

_MAX_WRONG = 1_000
_MAX_REMEMBERED = 32
_DEFINITIONS = ("definitions", "$defs")
_NOT_GIVEN = "was not given: write a default in the parameters, or | default('…') in the expression"


class FormCheck:
    """What checks users' inputs by the pages that are shown to them. Threads may share it."""

    def __init__(
        self, pages: Sequence[Schema], name: str, reading: Reading, withheld: frozenset[str] = frozenset()
    ) -> None:
        """Prepare the check.

        Args:
            pages: one JSON Schema object a page, as written; ``when`` says whether it is shown.
            name: the template's name, for messages.
            reading: how the template's document is read.
            withheld: parameters that somebody may not have: refused, also where a page takes any field.
        """
        self._pages = tuple(pages)
        self._withheld = withheld
        self._plain = tuple(map(plain_page, pages))
        self._names = tuple(frozenset(declared(merge_pages([page], ""))) for page in self._plain)
        self._name = name
        self._reading = reading
        self._checks: dict[tuple[bool, ...], InputCheck] = {}

    def fill(self, inputs: object, left_empty: Collection[Key] = ()) -> dict[str, JsonValue]:
        """Add the defaults to a user's inputs, and check the whole: see ``InputCheck.fill``.

        Args:
            inputs: what the user gave, secrets too.
            left_empty: the places of fields that stay away, whatever their default.
        """
        wrong = [((name,), "is unknown") for name in self._withheld if isinstance(inputs, Mapping) and name in inputs]
        if isinstance(inputs, Mapping) and wrong:
            inputs = {name: value for name, value in inputs.items() if name not in self._withheld}
        if not isinstance(inputs, Mapping) or not self._has_conditions():
            return self._check(self._all()).fill(inputs, left_empty, wrong)
        with checking(self._name):
            shown = self.shown(inputs, left_empty)
            hidden = self._hidden(shown)
            if self._reading is Reading.STRICT:
                said = "is unknown: its page is not shown with these answers"
                wrong += islice((((name,), said) for name in inputs if name in hidden), _MAX_WRONG)
            shown_inputs = {name: value for name, value in inputs.items() if name not in hidden}
            return self._check(shown).fill(shown_inputs, left_empty, wrong)

    def left_empty(self, inputs: Mapping[str, JsonValue]) -> frozenset[Key]:
        """The places of fields that have a default and are not in the inputs of a run all the same.

        Args:
            inputs: as ``fill`` returned them for that run.
        """
        try:
            return self._check(self.shown(inputs, ())).left_empty(inputs)
        except ValidationError:
            return frozenset()  # the check of the same inputs says what is wrong with them

    def shown_pages(self, inputs: Mapping[str, JsonValue], left_empty: Collection[Key]) -> tuple[Schema, ...]:
        """What a form shows to somebody who has answered so far: see ``Template.shown``.

        Args:
            inputs: the answers so far, by parameter.
            left_empty: the places of fields where no default counts.

        Raises:
            ValidationError: it takes too long.
        """
        with checking(self._name):
            shown = self.shown(inputs, left_empty)
            check = self._check(shown)
            pages = [page for page, is_shown in zip(self._plain, shown, strict=True) if is_shown]
            return flat_pages(pages, check.schema, check.answers(inputs, left_empty))

    def shown(self, inputs: Mapping[str, JsonValue], left_empty: Collection[Key]) -> tuple[bool, ...]:
        """Whether each page is shown: one after the other, as somebody turns them.

        Args:
            inputs: the answers so far, by parameter.
            left_empty: the places of fields where no default counts.

        Raises:
            ValidationError: it takes too long.
        """
        if not self._has_conditions():
            return self._all()
        shown: list[bool] = []
        with checking(self._name):
            for index, page in enumerate(self._pages):
                shown.append("when" not in page or self._holds(page["when"], index, shown, inputs, left_empty))
        return tuple(shown)

    def _holds(
        self,
        when: JsonValue,
        index: int,
        before: Sequence[bool],
        inputs: Mapping[str, JsonValue],
        left_empty: Collection[Key],
    ) -> bool:
        """Whether a page is shown, by the answers on those before it."""
        if isinstance(when, bool) or not isinstance(when, str) or not when.strip():
            return when is not False
        current_budget().check_time()
        so_far = (*before, *[False] * (len(self._pages) - index))
        hidden = self._hidden(tuple(before))
        known = {name: value for name, value in inputs.items() if name not in hidden}
        answers = self._check(so_far).answers(known, left_empty)
        names = frozenset().union(*self._names)
        context = {"parameters": Sparse(answers, names, _NOT_GIVEN)}
        try:
            return LANGUAGES[self._reading].holds(condition_of(when), context, f"parameters[{index}].when")
        except ValidationError:
            return self._reading is Reading.BACKSTAGE  # where it would be shown at home

    def _has_conditions(self) -> bool:
        return any("when" in page for page in self._pages)

    def _all(self) -> tuple[bool, ...]:
        return (True,) * len(self._pages)

    def _hidden(self, shown: tuple[bool, ...]) -> frozenset[str]:
        """The fields that only pages have that are not shown; those after the ones that are known count for neither."""
        seen = [names for names, is_shown in zip(self._names, shown, strict=False) if is_shown]
        unseen = [names for names, is_shown in zip(self._names, shown, strict=False) if not is_shown]
        return frozenset().union(*unseen) - frozenset().union(*seen)

    def _check(self, shown: tuple[bool, ...]) -> InputCheck:
        """The check by some of the pages; each is made once."""
        found = self._checks.get(shown)
        if found is None:
            # What is not shown may say what others refer to.
            pages = [
                page if is_shown else {word: page[word] for word in _DEFINITIONS if word in page}
                for page, is_shown in zip(self._plain, shown, strict=True)
            ]
            found = InputCheck(merge_pages(pages, ""), self._name, self._reading)
            if len(self._checks) >= _MAX_REMEMBERED:
                self._checks.clear()
            self._checks[shown] = found
        return found


def condition_of(when: str) -> str:
    """The ``when`` of a page as an expression: its braces may be left out."""
    text = when.strip()
    return text if text.startswith("${{") else f"${{{{ {text} }}}}"
