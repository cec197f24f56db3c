"""A secret that is easy to find, and actions that let it out in every way that a handler has."""

from __future__ import annotations

import base64
import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from flask import Flask
from marshmallow import Schema, ValidationError, fields, validates

from portal_actions_plugin import signals
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import RemoteError

CORE = "canary4711core"
"""Letters and figures, which every spelling but base64 and hex leaves as they are."""

CANARY = f"q\"u'o&<ü> {CORE}\nline-two-of-{CORE} 50%/+"

TEMPLATE = """\
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: canary}
spec:
  owner: team:platform
  type: service
  parameters:
    required: [token, way]
    properties:
      token: {type: string, maxLength: 100, ui:field: Secret}
      way: {type: string}
  steps:
    - id: use
      action: canary.use@v1
      input: {token: "${{ parameters.token }}", header: "Bearer ${{ secrets.token }}", way: "${{ parameters.way }}"}
    - id: again
      action: canary.again@v1
      input: {token: "${{ secrets.token }}", way: "${{ parameters.way }}", told: "${{ steps.use.output.token }}"}
  output:
    told: ${{ steps.use.output.token }}
    all: ${{ parameters | dump }}
    links: [{title: "${{ steps.use.output.token }}", url: "https://example.com/${{ steps.use.output.token }}"}]
"""


def needles() -> list[bytes]:
    """What must be found nowhere."""
    core = CORE.encode()
    found = [core, core.hex().encode(), core.hex().upper().encode()]
    for before in range(3):
        whole = base64.b64encode(bytes(before) + core)
        found.append(whole[(0, 2, 3)[before] : (before + len(core)) * 8 // 6])
    return found


def require_absent(where: str, content: bytes | str) -> None:
    data = content.encode() if isinstance(content, str) else content
    for needle in needles():
        at = data.find(needle)
        assert at < 0, f"{where} has the secret: …{data[max(0, at - 200) : at + 100]!r}…"


class Use(Schema):
    token = fields.String(required=True, load_only=True)
    header = fields.String(metadata={"secret": True})
    way = fields.String(required=True)
    told = fields.String()

    @validates("token")
    def refuse(self, value: str, **_: Any) -> None:
        if value.startswith("bad"):
            raise ValidationError(f"{value!r} is bad")
        if value.startswith("odd"):
            raise KeyError(value)


def let_out(ctx: Any, token: str) -> None:
    """Everything that a handler can say, but for how it ends."""
    spelled = (
        token,
        json.dumps(token),
        repr(token),
        quote_plus(token),
        base64.b64encode(f"u:{token}".encode()).decode(),
    )
    vendor = logging.getLogger("vendor.client")
    for text in spelled:
        ctx.log(f"using {text}")
        print("out", text)  # noqa: T201 as handlers do
        print("err", text, file=sys.stderr)  # noqa: T201
        vendor.warning("POST %s with %r", f"https://example.com/?t={text}", {"token": token}, extra={"auth": [text]})
    print("without an end", token, end="", flush=True)  # noqa: T201
    sys.stdout.buffer.write(token.encode())
    try:
        raise KeyError(token)
    except KeyError:
        vendor.exception("refused", stack_info=True, extra={"action": "PUT", "run_id": "theirs"})
    warnings.warn(f"deprecated {token}", UserWarning, stacklevel=1)
    thread = threading.Thread(target=fail_with, args=(token,), name="of the handler")
    thread.start()
    thread.join()
    ctx.warn(f"beware of {token}")
    ctx.link(f"title {token}", f"https://example.com/{quote_plus(token)}")
    assert ctx.checkpoint("kept", lambda: {"token": token, "url": f"https://x/?{token}"})["token"] == token
    ctx.progress(1, 2)


def fail_with(token: str) -> None:
    raise RuntimeError(f"a thread with {token}")


def use(ctx: Any, token: str, way: str, **_: Any) -> dict[str, Any]:
    """Let it out, and end in the way that is asked for."""
    let_out(ctx, token)
    if way == "fail":
        raise RemoteError(f"{token} was refused", hint=f"ask for {token}")
    if way == "bug":
        raise ValueError(f"bad {token}", {"token": token})
    if way == "exit":
        raise SystemExit(token)
    if way == "wait":
        while True:
            time.sleep(0.05)
    if way == "die" or (way == "die once" and ctx.run.attempt == 1 and ctx.run.action == "canary.again@v1"):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"token": token, "nested": [{token: base64.b64encode(token.encode()).decode()}]}


ACTIONS = tuple(
    action(f"canary.{name}@v1", title="Canary", input=Use, idempotent=name == "again")(use) for name in ("use", "again")
)


class Everything(logging.Formatter):
    """A host's own format: all that a record has, as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({**record.__dict__, "text": super().format(record)}, default=repr)


def register(app: Flask) -> None:
    for declared in ACTIONS:
        app.extensions["portal_actions"].registry.add(declared, "the tests")


def watch(app: Flask, folder: Path) -> None:
    """Write down what a worker logs, in the host's own format, and the signals that it sends."""
    handler = logging.FileHandler(folder / "structured.log")
    handler.setFormatter(Everything())
    logging.basicConfig(level=logging.DEBUG, handlers=[handler])

    def heard(_app: Flask, run: Any, **_: Any) -> None:
        with (folder / "signals.log").open("a") as file:
            print(run, file=file)

    for name in ("action_run_started", "action_run_finished", "template_run_finished"):
        getattr(signals, name).connect(heard, sender=app, weak=False)
