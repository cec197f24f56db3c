"""A form that came too late, once more: nothing has happened, what was typed is still there, and one press sends it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

SECRETS, SEEN = "secrets.", "retried_as"
"""How the fields begin that hold a secret, and that say which retry of a run the page has shown."""

_KEPT = (SECRETS, SEEN, "run")
_BUTTONS = {
    "retry_template_run": "Retry",
    "resume_template_run": "Resume",
    "retry_action_run": "Run again",
    "cancel_template_run": "Cancel",
    "cancel_action_run": "Cancel",
    "do_bulk": "Go on",
}


@dataclass(frozen=True, slots=True)
class FormAgain:
    """What was sent, to be sent once more.

    Attributes:
        action: the address.
        fields: names and values that nobody has typed.
        secrets: names and values of secret inputs, as they were typed.
        button: its text.
    """

    action: str
    fields: tuple[tuple[str, str], ...]
    secrets: tuple[tuple[str, str], ...]
    button: str


def form_again(seen_retry: str | None = None) -> FormAgain | None:
    """The form that this request has sent; None where it is none of ours.

    Args:
        seen_retry: the retry that its sender knows of by now; what the form said where it is None.
    """
    button = _BUTTONS.get((request.endpoint or "").rpartition(".")[2])
    if request.method != "POST" or button is None:
        return None
    given = [(name, value) for name, value in request.form.items(multi=True) if name.startswith(_KEPT)]
    fields = [(name, value) for name, value in given if not name.startswith(SECRETS)]
    if seen_retry is not None:
        fields = [*((name, value) for name, value in fields if name != SEEN), (SEEN, seen_retry)]
        button = f"{button} all the same"
    path = f"{request.script_root}{request.full_path if request.query_string else request.path}"
    return FormAgain(path, tuple(fields), tuple(one for one in given if one[0].startswith(SECRETS)), button)
