"""Starting, repeating and canceling runs: one way for pages, API, commands and the Python API."""

from portal_actions_plugin.runs.service.canceling import cancel_action_run, cancel_template_run
from portal_actions_plugin.runs.service.repeating import resume_template_run, retry_action_run, retry_template_run
from portal_actions_plugin.runs.service.starting import start_action_run, start_template_run

__all__ = [
    "cancel_action_run",
    "cancel_template_run",
    "resume_template_run",
    "retry_action_run",
    "retry_template_run",
    "start_action_run",
    "start_template_run",
]
