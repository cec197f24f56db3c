"""What the portal starts with: owners, repositories with real commits, their services, and one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask
from flask.cli import FlaskGroup

from demo_portal import catalog, forge, scorecards
from demo_portal.people import PEOPLE
from demo_portal.portal import portal
from portal_actions_plugin import Ask, Identity
from portal_actions_plugin.scm.base import Author, FileChange

OWNERS = ("acme", "platform")
SYSTEM = Identity("system:demo", "Demo", frozenset({"platform-admin"}))
FIRST_INPUTS = {"name": "greeter", "owner": "acme", "description": "Says hello. The portal made it at its first start."}

_SERVICE = '''"""{title}."""

from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer(("", 8080), Handler).serve_forever()
'''
_MAKEFILE = "run:\n\tpython src/service.py\n\ntest:\n\tpython -m compileall -q src\n"
_PIPELINE = "steps:\n  - name: test\n    run: make test\n"


@dataclass(frozen=True, slots=True)
class Seed:
    """A repository, and what else than its code is in it from the start."""

    owner: str
    name: str
    title: str
    team: str
    extras: tuple[str, ...]
    in_catalog: bool = True


SEEDS = (
    Seed("acme", "orders", "Takes orders and keeps them", "group:default/orders", ("pipeline",)),
    Seed("acme", "payments", "Charges cards, and pays back", "group:default/payments",
         ("readme", "codeowners", "pipeline")),
    Seed("acme", "storefront", "What customers see", "group:default/storefront", ("readme", "pipeline")),
    Seed("acme", "stock-import", "Reads the suppliers' lists at night", "", ("readme",)),
    Seed("platform", "identity", "Signs people and services in", "group:default/platform",
         ("readme", "codeowners", "pipeline")),
    Seed("platform", "environments", "Every environment that was asked for, as files", "group:default/platform",
         ("readme",), in_catalog=False),
)  # fmt: skip


def create_tables(app: Flask) -> None:
    """The portal's tables, and the plugin's by its own command, as any host would."""
    portal().store.create_tables()
    upgrade = FlaskGroup(create_app=lambda: app, load_dotenv=False)
    upgrade.main(["actions", "db", "upgrade"], prog_name="flask", standalone_mode=False)


def seed() -> None:
    """Fill forge and catalog, once. A seeding that was cut short is finished by the next one."""
    for owner in OWNERS:
        (portal().settings.repositories / owner).mkdir(parents=True, exist_ok=True)
    if portal().store.is_marked("seeded"):
        return
    for one in SEEDS:
        _make_repository(one)
        if one.in_catalog:
            scorecards.evaluate(_register(one))
    portal().store.mark("seeded")


def first_run() -> None:
    """Ask for one run of a template, once, so that no page is empty. Workers find it when they come up."""
    if portal().store.is_marked("first run"):
        return
    inputs = {**FIRST_INPUTS, "provider": portal().settings.forge}
    portal().actions.run_template(SYSTEM, "create-service", inputs, Ask(idempotency_key="first run"))
    portal().store.mark("first run")


def _make_repository(one: Seed) -> None:
    ada, margaret = (Author(PEOPLE[key].name, PEOPLE[key].email) for key in ("ada", "margaret"))
    made = forge.open_forge(ada).create_repo(
        one.owner, one.name, visibility="internal", description=one.title, init_with_readme=False, claim="seed"
    )
    for author, message, files in (
        (ada, "Start", _code(one)),
        (margaret, "Describe how it is run", _extras(one)),
    ):
        changes = [FileChange(path, content.encode()) for path, content in files.items()]
        if changes:
            forge.open_forge(author).put_files(made.ref, made.ref.default_branch, changes, message)


def _code(one: Seed) -> Mapping[str, str]:
    if not one.in_catalog:
        return {"README.md": f"# {one.name}\n\n{one.title}. The template *Request an environment* adds to it.\n"}
    return {
        ".gitignore": "__pycache__/\n",
        "Makefile": _MAKEFILE,
        "src/service.py": _SERVICE.format(title=one.title),
    }


def _extras(one: Seed) -> Mapping[str, str]:
    if not one.in_catalog:
        return {}
    known = {
        "readme": ("README.md", f"# {one.name}\n\n{one.title}.\n\n    make run\n"),
        "codeowners": ("CODEOWNERS", f"* @{one.owner}/{one.name}\n"),
        "pipeline": (".ci/pipeline.yaml", _PIPELINE),
    }
    return dict(known[name] for name in one.extras)


def _register(one: Seed) -> str:
    document = {
        "kind": "component",
        "namespace": "default",
        "name": one.name,
        "ownerRef": one.team,
        "description": f"{one.title}.",
        "repository": f"{one.owner}/{one.name}",
    }
    return catalog.register(document, f"{portal().settings.forge_url}/{one.owner}/{one.name}")
