"""Real portals that somebody else wrote, with the plugin from its wheel as the README says. ``make nightly`` runs this.

Each has a virtual environment of its own below ``.venv-guests``. A guest that needs a word more than the README is a fault.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guests import servers
from tests.guests.browser import Answer, Browser
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / ".venv-guests"
PASSWORD = "a password of the night"


@dataclass(frozen=True)
class Guest:
    """A portal: what pip installs for it, how it gets its first user, how that one signs in, and servers of its own.

    Its servers are told to it by variables of the environment. One that has a PostgreSQL shares it with the plugin.
    """

    name: str
    packages: tuple[str, ...]
    set_up: tuple[tuple[str, ...], ...]
    sign_in: Callable[[Browser], Answer]
    has_servers: Callable[[], AbstractContextManager[dict[str, str]]] = lambda: nullcontext({})
    against_its_word: tuple[str, ...] = ()


def sign_in_to_appbuilder(browser: Browser) -> Answer:
    return browser.submit(browser.get("/login/").form("password"), username="ada", password=PASSWORD)


def sign_in_to_security(browser: Browser) -> Answer:
    return browser.submit(browser.get("/login").form("password"), email="ada@example.com", password=PASSWORD)


def sign_in_to_flexmeasures(browser: Browser) -> Answer:
    form = browser.get("/login").form("password")
    return browser.submit(form, email="toy-user@flexmeasures.io", password="toy-password")


@contextmanager
def servers_of_flexmeasures() -> Iterator[dict[str, str]]:
    with servers.whole_postgresql("cube", "earthdistance") as uri, servers.redis_on_a_port() as port:
        yield {
            "SQLALCHEMY_DATABASE_URI": uri,
            "FLEXMEASURES_REDIS_PORT": str(port),
            "FLEXMEASURES_ENV": "development",
            "LOGGING_LEVEL": "WARNING",
            "SECRET_KEY": "only for this night",
        }


GUESTS = (
    Guest(
        "appbuilder",
        ("flask-appbuilder==5.3.0",),
        (
            (
                *("fab", "create-admin", "--username", "ada", "--firstname", "Ada", "--lastname", "Lovelace"),
                *("--email", "ada@example.com", "--password", PASSWORD),
            ),
        ),
        sign_in_to_appbuilder,
    ),
    Guest(
        "security",
        ("flask-security-too", "flask-talisman", "flask-session", "flask-babel", "flask-limiter", "flask-sqlalchemy"),
        (("make-user",),),
        sign_in_to_security,
    ),
    Guest(
        "flexmeasures",
        ("flexmeasures==1.0.1", "flask-security-too<5.9"),  # it sets a time as "1 week", which newer ones refuse
        (("db", "upgrade"), ("add", "toy-account")),
        sign_in_to_flexmeasures,
        servers_of_flexmeasures,
        ("setuptools<81",),  # it asks for newer ones, and its timely-beliefs imports pkg_resources, which those lack
    ),
)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, so that nothing of an earlier build gets into it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.cfg", "pyproject.toml", "DESCRIPTION.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for folder in ("build_backend", "portal_actions_plugin"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), "."]
    subprocess.run(pip, cwd=source, check=True)
    (built,) = out.glob("*.whl")
    return built


class Portal:
    """A guest at work, on a database of its own."""

    def __init__(self, guest: Guest, wheel: Path, redis_url: str, environment: Mapping[str, str]) -> None:
        self.guest = guest
        self.folder = Path(tempfile.mkdtemp(prefix=f"{guest.name}-"))
        (self.folder / "git" / "acme").mkdir(parents=True)
        self._flask = [str(install(guest, wheel)), "-m", "flask", "--app", "portal"]
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "PYTHON"))},
            "PYTHONPATH": f"{HERE}:{HERE / guest.name}",
            "GUEST_FOLDER": str(self.folder),
            "GUEST_REDIS": redis_url,
            **environment,
        }
        self._running: list[subprocess.Popen[bytes]] = []

    def command(self, *words: str) -> str:
        done = subprocess.run([*self._flask, *words], **self._where, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with self.log(name).open("ab") as out:
            self._running.append(subprocess.Popen([*self._flask, *words], **self._where, stdout=out, stderr=out))
        return self._running[-1]

    def serve(self) -> str:
        """Start a web process; its address."""
        port = servers.free_port()
        web = self.start("web", "run", "--port", str(port), "--with-threads")
        wait_until(lambda: web.poll() is not None or _listens(port))
        assert web.poll() is None, self.log("web").read_text()
        return f"http://127.0.0.1:{port}"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def signals(self) -> list[str]:
        with suppress(FileNotFoundError):
            return (self.folder / "signals").read_text().splitlines()
        return []

    def stop(self) -> None:
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            process.wait()

    @property
    def _where(self) -> dict[str, object]:
        return {"cwd": self.folder, "env": self._environment}


def install(guest: Guest, wheel: Path) -> Path:
    """The guest's Python; its packages once, the wheel anew each time."""
    folder = ENVIRONMENTS / guest.name
    python, stamp = folder / "bin" / "python", folder / "installed"
    wanted = " ".join(guest.packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *guest.packages], check=True)
        stamp.write_text(wanted)
    # With what it needs: a version that the guest cannot bear is a fault that pip tells.
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"{wheel}[postgres]"], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(wheel)], check=True)
    if guest.against_its_word:
        subprocess.run([*pip, *guest.against_its_word], check=True)
    else:
        subprocess.run([str(python), "-m", "pip", "check"], check=True)
    return python


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(params=GUESTS, ids=lambda guest: guest.name)
def portal(request: pytest.FixtureRequest, wheel: Path, redis_url: str, empty_database: str) -> Iterator[Portal]:
    guest: Guest = request.param
    with guest.has_servers() as environment:
        portal = Portal(guest, wheel, redis_url, environment or {"GUEST_DATABASE": empty_database})
        for words in (*guest.set_up, ("actions", "db", "upgrade")):
            portal.command(*words)
        yield portal
        portal.stop()


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE guest")
        yield postgres.replace("/postgres?", "/guest?").replace("postgresql:", "postgresql+psycopg:")
        connection.execute("DROP DATABASE guest WITH (FORCE)")


class Person:
    """Somebody who has signed in to a guest, and uses the API with the page's CSRF token, as a script of the page would."""

    def __init__(self, base: str, sign_in: Callable[[Browser], Answer]) -> None:
        self.browser = Browser(base)
        answer = sign_in(self.browser)
        assert answer.status == 200, answer.body

    def start(self, template: str, **inputs: str) -> Answer:
        token = self.browser.get("/token").body
        return self.browser.post_json(f"/api/v1/templates/{template}/runs", {"inputs": inputs}, X_CSRFToken=token)

    def ended(self, path: str) -> dict:
        return wait_until(lambda: (run := self.browser.get(path).json())["status"] in ("success", "failed") and run)


def test_a_guest_runs_worker_template_retry_and_signals(portal: Portal) -> None:
    worker = portal.start("worker", "actions", "worker", "--workers", "1")
    base = portal.serve()
    nobody = Browser(base).get("/actions")
    assert nobody.status in (200, 401), nobody.body
    assert "Action Runs" not in nobody.body, "a page of the guest's to sign in, or ours that says so"
    assert Browser(base).get("/api/v1/action-runs").status == 401

    ada = Person(base, portal.guest.sign_in)
    refused = ada.browser.post_json("/api/v1/templates/greet/runs", {"inputs": {"name": "Ada"}})
    assert refused.status == 403, "a cookie alone starts nothing"

    greeted = ada.start("greet", name="Ada")
    assert greeted.status == 202, greeted.body
    assert ada.ended(greeted.headers["Location"])["status"] == "success", portal.log("worker").read_text()

    first, second = (ada.start("add-readme", repo=repo).headers["Location"] for repo in ("orders", "ledger"))
    failed = [ada.ended(path) for path in (first, second)]
    assert [run["status"] for run in failed] == ["failed", "failed"]
    for repo in ("orders", "ledger"):
        assert ada.ended(ada.start("make-repository", repo=repo).headers["Location"])["status"] == "success"

    over_api = ada.browser.post_json(f"{first}/retry", {}, X_CSRFToken=ada.browser.get("/token").body)
    assert over_api.status in (200, 202), over_api.body
    assert ada.ended(over_api.headers["Location"])["status"] == "success"

    page = ada.browser.get(f"/templates/runs/{second.rpartition('/')[2]}")
    pressed = ada.browser.submit(page.form(">Retry<"))
    assert pressed.status == 200, pressed.body
    retried = pressed.address.partition("?")[0].rpartition("/")[2]
    assert retried != second.rpartition("/")[2]
    assert ada.ended(f"/api/v1/template-runs/{retried}")["status"] == "success"

    assert len(wait_until(lambda: len(portal.signals()) >= 7 and portal.signals())) >= 7
    assert worker.poll() is None
    assert "Traceback" not in portal.log("worker").read_text()
    assert "Traceback" not in portal.log("web").read_text()
