from __future__ import annotations
import logging, pickle, threading, time
from typing import Any
import pytest
from cryptography.fernet import Fernet
from marshmallow import Schema, fields
from sqlalchemy import text
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.db import reading
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Origin
from portal_actions_plugin.runs import queries, service
from portal_actions_plugin.runs.accept import Ask
from tests.conftest import work_off
from tests.portal import PEOPLE
ADA, VERA = PEOPLE["ada"], PEOPLE["vera"]
C = "canary4711core"
T = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: t}
spec:
  owner: team:platform
  type: service
  parameters:
    properties:
      token: {type: string, ui:field: Secret}
      note: {type: string}
  steps:
    - id: use
      action: test.use@v1
      input: {token: "${{ parameters.token }}", greeting: "%s"}
"""
class Use(Schema):
    token = fields.String(load_only=True)
    greeting = fields.String()
    note = fields.String()

def dump():
    out=[]
    with reading() as db:
        for t in ("action_runs","template_runs","audit","idempotency_keys","log_lines","attempts","checkpoints"):
            try: out += [str(dict(r)) for r in db.rows(text(f"select * from portal_actions_{t}"))]
            except Exception as e: out.append(f"!! {t} {e}")
    return "\n".join(out)

@pytest.fixture
def app2(make_app, template_folder):
    app = make_app(PORTAL_ACTIONS_SECRET_KEYS=[Fernet.generate_key().decode()], PORTAL_ACTIONS_RATE_LIMIT="1000 per minute")
    app.template_folder_ = template_folder
    with app.app_context():
        yield app

def reg(h, name="test.use@v1"): extension().registry.add(action(name, title="U", input=Use)(h), "t")

def where(d, n=C):
    return [l[:0] + l[max(0,l.find(n)-60): l.find(n)+30] for l in d.splitlines() if n in l or l.startswith("!!")]

def test_p1(app2):
    reg(lambda ctx, **k: {})
    service.start_action_run(ADA, "test.use@v1", {"token": C, "note": f"with {C}"})
    print("P1 note", where(dump()))
    service.start_action_run(ADA, "test.use@v1", {"token": C}, Ask(idempotency_key=f"k-{C}"))
    service.start_action_run(ADA, "test.use@v1", {"token": C}, Ask(entity=f"component:{C}"))
    print("P1 all", where(dump()))

@pytest.mark.parametrize("e", ["${{ secrets.token | upper }}", "${{ secrets.token[0:10] }}", "${{ secrets.token | reverse }}", "${{ secrets.token | replace('a','b') }}", "${{ secrets.token.split('y') }}","${{ secrets.token | list | join('-') }}"])
def test_p2(app2, e):
    (app2.template_folder_ / "t.yaml").write_text(T % e)
    reg(lambda ctx, **k: {})
    try:
        r = service.start_template_run(ADA, "t", {"token": C}).run
        work_off()
        print("P2", e, queries.template_run(r.id).steps[0].run.input, queries.template_run(r.id).status)
    except Exception as x: print("P2", e, type(x), x)

def test_p3(app2):
    class Bad(Exception):
        def __str__(self): raise RuntimeError("no")
    def h(ctx, **k): raise Bad
    reg(h)
    r = service.start_action_run(ADA, "test.use@v1", {}).run
    try: work_off()
    except BaseException as e: print("P3 raised", type(e), e)
    print("P3", queries.action_run(r.id).status, queries.action_run(r.id).error)

def test_p4(app2, caplog):
    def h(ctx, token, **k):
        logging.getLogger("x").handle(logging.makeLogRecord({"msg": f"made {token}", "levelno": 40, "levelname": "ERROR", "name": "x"}))
        r = logging.LogRecord("x", 40, "p", 1, f"direct {token}", (), None); logging.getLogger("x").handle(r)
        logging.getLogger("x").handle(pickle.loads(pickle.dumps(r)))
        def go(): logging.getLogger(f"lg.{token}").warning("in thread")
        t = threading.Thread(target=go, name=f"thread {token}"); t.start(); t.join()
    reg(h)
    service.start_action_run(ADA, "test.use@v1", {"token": C}); work_off()
    for r in caplog.records:
        for k, v in r.__dict__.items():
            if C in str(v): print("P4", k, v)

def test_p6(app2):
    reg(lambda ctx, **k: {})
    import random, string
    big = "\n".join("".join(random.choice(string.ascii_letters+"/+ü") for _ in range(63)) for _ in range(250))
    s=time.perf_counter(); service.start_action_run(ADA, "test.use@v1", {"token": big}); print("P6 start 16k", time.perf_counter()-s)
    s=time.perf_counter(); service.start_action_run(ADA, "test.use@v1", {"token": C}); print("P6 start small", time.perf_counter()-s)
    s=time.perf_counter(); service.start_action_run(ADA, "test.use@v1", {}); print("P6 start none", time.perf_counter()-s)

def test_p7(app2, caplog):
    g="ghp_"+"a1"*20
    for f in (lambda: service.start_template_run(VERA, g, {}), lambda: service.start_action_run(ADA,"test.use@v1",{},Ask(entity=g)), lambda: service.start_action_run(ADA,"test.use@v1",{},Ask(idempotency_key=g)), lambda: service.start_action_run(ADA,"test.use@v1",{},Ask(origin=Origin(g,"a","b")))):
        try: f()
        except Exception as e: print("P7", type(e).__name__)
        else: print("P7 ok")
        if not extension().registry.__contains__("test.use@v1"): reg(lambda ctx, **k: {})
    print("P7", where(dump(), g), g in caplog.text)
