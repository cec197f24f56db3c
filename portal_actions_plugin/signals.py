"""The blinker signals. Each is sent after commit, in the process that made the change; the sender is the Flask app.

Receivers take ``**kwargs``, since later versions may add arguments. A receiver that raises is logged and harms nobody.
"""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

action_run_queued = _signals.signal(
    "portal-actions.action-run-queued",
    doc="run: the ActionRun that was accepted, or queued again for another attempt.",
)
action_run_started = _signals.signal(
    "portal-actions.action-run-started",
    doc="run: the ActionRun that an attempt has claimed.",
)
action_run_finished = _signals.signal(
    "portal-actions.action-run-finished",
    doc="run: the ActionRun that reached success, failed or canceled. At least once, also over crashes.",
)
template_run_started = _signals.signal(
    "portal-actions.template-run-started",
    doc="run: the TemplateRun whose first step was claimed.",
)
template_run_finished = _signals.signal(
    "portal-actions.template-run-finished",
    doc="run: the TemplateRun that reached success, failed or canceled. At least once, also over crashes.",
)
run_changed = _signals.signal(
    "portal-actions.run-changed",
    doc="run: an ActionRun or TemplateRun, in every web process, over Redis pub/sub, best effort.",
)
scorecard_fix_requested = _signals.signal(
    "portal-actions.scorecard-fix-requested",
    doc=(
        "Sent by the host with entity, scorecard, rule, action, input, requested_by (an Identity), and optionally "
        "template instead of action. The plugin's receiver returns the started, or already active, run."
    ),
)
