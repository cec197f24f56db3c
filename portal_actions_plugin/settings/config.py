"""Every setting, its default, and a sentence on it. The reference page of the docs is made from this file."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING

from portal_actions_plugin.host import PERMISSIONS
from portal_actions_plugin.settings.forge_addresses import ForgeAddresses
from portal_actions_plugin.settings.installations import Installation, read_installations
from portal_actions_plugin.settings.template_repositories import TemplateRepository, read_repositories
from portal_actions_plugin.settings.values import (
    PREFIX,
    Environment,
    HostRule,
    RateLimit,
    Reader,
    database_url,
    require_known,
    wrong,
)
from portal_actions_plugin.settings.workspaces import Place, read_place

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True, slots=True)
class Setting:
    """One ``PORTAL_ACTIONS_*`` setting: its name without the prefix, its default, and what it does."""

    name: str
    default: object
    doc: str


_READ = ("action:read", "template:read", "parameter:read")
_RUN = (*_READ, "action:run", "template:run", "step:run", "workspace:read")

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "DATABASE_URL",
        None,
        "SQLAlchemy URL of the plugin's tables, SQLite file or PostgreSQL. Default: the "
        "host's `SQLALCHEMY_DATABASE_URI` when that is PostgreSQL, else `portal_actions.db` in the instance folder.",
    ),
    Setting(
        "REDIS_URL",
        "redis://localhost:6379/0",
        "Redis or Valkey through which workers are woken, by RQ; `unix://` paths work too.",
    ),
    Setting(
        "NAMESPACE",
        None,
        "Part of the names of queues, keys and channels on Redis, so that several portals may share one: 1 to 64 letters, "
        "digits, `-` and `_`; web processes and workers need the same. Default: the identity of the database, which "
        "`flask actions db current` shows.",
    ),
    Setting(
        "PUBLIC_URL",
        None,
        "The portal's public address, for links made in workers, such as "
        "`https://portal.example.com`. Default: links are relative.",
    ),
    Setting(
        "SIGN_IN_URL",
        None,
        "Where people sign in: an address, a path such as `/sign-in`, or the name of an endpoint. Who is not signed in is "
        "sent there from a page, with the page in `next`. Default: where Flask-Login sends them, else a page with 401.",
    ),
    Setting(
        "SECRET_KEYS",
        (),
        "Fernet keys for secret inputs, newest first, as a list or separated by commas. "
        "Default: none, and starts that carry secrets are refused.",
    ),
    Setting("URL_PREFIX", "", "Where the pages live below the portal, such as `/self-service`."),
    Setting("API_PREFIX", "/api/v1", "Where the REST API lives below the portal."),
    Setting(
        "BASE_TEMPLATE",
        "portal_actions/base.html",
        "The Jinja layout that pages extend; it needs the blocks `title`, `head` and `content`.",
    ),
    Setting(
        "COLOR_SCHEME",
        "auto",
        "The colours of the pages: `light`, `dark`, or `auto` for what each visitor's browser prefers. A portal that is "
        "light only sets `light`.",
    ),
    Setting("TEMPLATE_PATH", (), "Folders with software templates (YAML), as a list or separated by colons."),
    Setting(
        "TEMPLATE_REPOSITORIES",
        (),
        "Git repositories with software templates, as a list: `{'address': 'https://github.com/acme/templates', 'ref': 'main', "
        "'path': 'services'}`, or `'https://github.com/acme/templates#main:services'`; as a text, such lists in JSON, or "
        "addresses with spaces between them. The page [](operating.md#templates-from-git) says more. Default: none.",
    ),
    Setting(
        "TEMPLATE_REFRESH_SECONDS", 300, "How often each machine looks for new commits in `TEMPLATE_REPOSITORIES`."
    ),
    Setting(
        "TEMPLATE_CHECKOUTS",
        None,
        "Folder of this machine for the files of `TEMPLATE_REPOSITORIES`, shared by its web processes and workers. "
        "Default: `portal_actions_templates` in the instance folder.",
    ),
    Setting(
        "TEMPLATE_WEBHOOK_SECRET",
        None,
        "Secret of the webhook that a forge calls after a push to one of `TEMPLATE_REPOSITORIES`, or the signing token that "
        "GitLab has made for it: a text, `{'env': NAME}` or `{'file': PATH}`. Default: the webhook is off.",
    ),
    Setting(
        "YAML_MERGE",
        False,  # noqa: FBT003 a default, like the others
        "Whether `<<` in a template writes a mapping out, as in YAML 1.1: YAML 1.2 has no merge keys.",
    ),
    Setting(
        "ENVIRONMENT",
        {},
        "What every template may name as `environment`: `{'parameters': {'region': 'eu'}, 'secrets': {'token': '…'}}`. "
        "`environment.parameters.region` is for all expressions of a step, `environment.secrets.token` for its `input` only. It "
        "is read when a step begins and kept with no run; the secrets are masked in all that a run writes. Web processes and "
        "workers need the same.",
    ),
    Setting("DEFAULT_ROLES", ("viewer",), "Roles of an identity that comes without any."),
    Setting(
        "ROLE_PERMISSIONS",
        {
            "platform-admin": PERMISSIONS,
            "template-admin": (*_RUN, "template:edit"),
            "team-admin": _RUN,
            "developer": _RUN,
            "viewer": _READ,
        },
        "Which role has which permissions, for hosts without an authorizer of their own.",
    ),
    Setting(
        "REQUIRE_AUTHORIZER",
        False,  # noqa: FBT003 a default, like the others
        "`True`: while no `authorizer` is registered, nobody may do anything, whatever their roles. For portals whose own "
        "rules are stricter than the table of roles.",
    ),
    Setting("RATE_LIMIT", "10 per minute", "Starts that one identity may make, as `N per second|minute|hour`."),
    Setting(
        "MAX_RUNNING_PER_IDENTITY",
        None,
        "How many steps of one identity may run at a time, over all its template runs and one-offs; the others are held back "
        "until one of them ends, and everybody else's go ahead. Web processes and workers need the same. Default: no bound.",
    ),
    Setting(
        "MAX_ITEMS",
        500,
        "How many items a step with `each` may go through: each is an action run of its own. A longer list fails the step, or "
        "is refused at the start, before anything of it has run. Web processes and workers need the same.",
    ),
    Setting(
        "QUEUES",
        {},
        "Queue by action id pattern, such as `{'scm.*': 'forge'}`; the first match wins. "
        "Default: the queue that the action names.",
    ),
    Setting("LEASE_SECONDS", 30, "How far ahead a worker's lease on a step is renewed."),
    Setting("LEASE_RENEW_SECONDS", 5, "How often a worker renews its lease."),
    Setting("LAPSE_GRACE_SECONDS", 10, "How long a lapsed lease is looked at before it is acted on."),
    Setting("SWEEP_SECONDS", 3, "How often a sweeper looks for lost wake-ups and lapsed leases."),
    Setting(
        "RING_AGAIN_SECONDS",
        30,
        "How long a queued row waits before a worker is woken for it again; doubles each time.",
    ),
    Setting(
        "RETRY_SECONDS", 10, "How long the second attempt waits after an error that passes; each next one 3 times it."
    ),
    Setting("RETRY_MAX_SECONDS", 600, "The longest such wait. When the other side names a wait, that one counts."),
    Setting("DRAIN_SECONDS", 300, "How long a worker that is told to stop may go on with its running step."),
    Setting(
        "STALL_SECONDS",
        60,
        "How long a worker may stand by while a run waits on its queue, and how long any loop of a worker may stand still, "
        "before that counts as stalled and is ended. It is told after half of that.",
    ),
    Setting(
        "RECEIVER_SECONDS",
        5,
        "How long a receiver of a signal may take. One that takes longer is interrupted in a worker, and left to itself in a "
        "web process; the log names it and the signal.",
    ),
    Setting(
        "SCM",
        {},
        "Forges by name, such as `{'ghe': {'kind': 'github', 'url': 'https://ghe.example.com', 'token': {'env': 'GHE_TOKEN'}}}`; "
        "an input's `provider` names one. The page [](forges.md) has its keys. `github`, `gitlab` and `local` are there "
        "without it: the first two take their token from `PORTAL_ACTIONS_GITHUB_TOKEN` and `PORTAL_ACTIONS_GITLAB_TOKEN` of "
        "the environment.",
    ),
    Setting(
        "LOCAL_SCM_ROOT",
        None,
        "Folder of the `local` provider: a folder per owner, bare git repositories in it. "
        "Default: the provider is off.",
    ),
    Setting(
        "LOCAL_SCM_URL",
        None,
        "Web address of a page about the local repositories, for links: `<url>/<owner>/<repo>`. Default: file URLs.",
    ),
    Setting(
        "HTTP_ALLOWED_HOSTS",
        (),
        "Hosts that `http.request@v1` may call, as a list or separated by commas: `api.example.com`, `*.example.com` for "
        "its subdomains only, each on the ports 80 and 443, or with a port of its own: `api.example.com:8443`. "
        "Default: none, and the action is off.",
    ),
    Setting(
        "HTTP_ALLOWED_NETWORKS",
        (),
        "Networks such as `10.20.0.0/16` that `http.request@v1` may reach although they are not public, as a list or "
        "separated by commas. The host has to be allowed as well. Default: none.",
    ),
    Setting(
        "HTTP_MAX_BYTES",
        100_000,
        "How much of an answer `http.request@v1` keeps, in bytes. It keeps less where `MAX_OUTPUT_BYTES` is too small.",
    ),
    Setting(
        "BACKSTAGE_URL",
        None,
        "What `http:backstage:request` calls, such as `https://portal.example.com`: a template's path goes below its `/api/`. "
        "Its host has to be in `HTTP_ALLOWED_HOSTS` as well. Default: none, and the action is off.",
    ),
    Setting("MAX_BODY_BYTES", 1_000_000, "The largest request body that the API takes, in bytes."),
    Setting("MAX_OUTPUT_BYTES", 256_000, "The largest outputs of a step, as JSON, in bytes."),
    Setting("MAX_LOG_LINES", 10_000, "How many log lines an action run keeps."),
    Setting("MAX_LOG_LINE_CHARS", 4_000, "How long a log line may be before it is cut, in characters."),
    Setting(
        "WORKSPACES",
        None,
        "Where the files that steps share are kept between steps: a folder that all machines see, such as "
        "`/srv/portal/workspaces`, a bucket such as `s3://bucket/prefix?endpoint=https://s3.example.com&region=eu-1` (with "
        "the extra `s3`; credentials as boto3 reads them), or `database`. Web processes and workers need the same. Default: "
        "in the database where that is PostgreSQL, else in a folder beside the SQLite file.",
    ),
    Setting("MAX_WORKSPACE_BYTES", 50_000_000, "How much the workspace of a template run may hold, in bytes."),
    Setting(
        "MAX_WORKSPACE_FILES", 10_000, "How many files, and how many folders, the workspace of a template run may hold."
    ),
    Setting(
        "WORKSPACE_DAYS",
        7,
        "How many days the workspace of a failed or canceled run is kept after its end. A resume needs it.",
    ),
    Setting(
        "WORKSPACE_TOTAL",
        5_000_000_000,
        "How much all kept workspaces may hold, in bytes: those of the runs that ended first go earlier where it is more.",
    ),
    Setting("AUDIT_DAYS", 730, "How many days `flask actions prune` keeps audit rows; runs have a time of their own."),
)


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one app, checked. See ``SETTINGS`` for each."""

    database_url: str
    redis_url: str
    namespace: str | None
    public_url: str
    sign_in_url: str | None
    secret_keys: tuple[str, ...] = field(repr=False)
    url_prefix: str
    api_prefix: str
    base_template: str
    color_scheme: str
    template_path: tuple[Path, ...]
    template_repositories: tuple[TemplateRepository, ...]
    template_refresh_seconds: float
    template_checkouts: Path
    template_webhook_secret: object = field(repr=False)
    yaml_merge: bool
    environment: Environment
    default_roles: frozenset[str]
    role_permissions: Mapping[str, frozenset[str]]
    require_authorizer: bool
    rate_limit: RateLimit
    max_running_per_identity: int | None
    max_items: int
    queues: Mapping[str, str]
    lease_seconds: float
    lease_renew_seconds: float
    lapse_grace_seconds: float
    sweep_seconds: float
    ring_again_seconds: float
    retry_seconds: float
    retry_max_seconds: float
    drain_seconds: float
    stall_seconds: float
    receiver_seconds: float
    scm: Mapping[str, Installation]
    local_scm_root: Path | None
    local_scm_url: str | None
    http_allowed_hosts: tuple[HostRule, ...]
    http_allowed_networks: tuple[IPv4Network | IPv6Network, ...]
    http_max_bytes: int
    backstage_url: str
    max_body_bytes: int
    max_output_bytes: int
    max_log_lines: int
    max_log_line_chars: int
    workspaces: Place
    max_workspace_bytes: int
    max_workspace_files: int
    workspace_days: int
    workspace_total: int
    audit_days: int

    @classmethod
    def from_app(cls, app: Flask) -> Config:
        """Read and check the app's settings.

        Raises:
            ConfigurationError: names the setting, what it holds and what it takes.
        """
        require_known(app.config, [setting.name for setting in SETTINGS])
        for setting in SETTINGS:
            app.config.setdefault(PREFIX + setting.name, setting.default)
        read = Reader(app.config)
        config = cls(
            database_url=database_url(app),
            redis_url=read.redis_url("REDIS_URL"),
            namespace=read.namespace("NAMESPACE"),
            sign_in_url=read.optional_text("SIGN_IN_URL"),
            public_url=(read.optional_text("PUBLIC_URL") or "").rstrip("/"),
            secret_keys=read.keys("SECRET_KEYS"),
            url_prefix=read.path("URL_PREFIX"),
            api_prefix=read.path("API_PREFIX"),
            base_template=read.text("BASE_TEMPLATE"),
            color_scheme=read.choice("COLOR_SCHEME", ("auto", "light", "dark")),
            template_path=tuple(Path(folder).absolute() for folder in read.words("TEMPLATE_PATH", ":")),
            template_repositories=read_repositories(app.config[PREFIX + "TEMPLATE_REPOSITORIES"]),
            template_refresh_seconds=read.seconds("TEMPLATE_REFRESH_SECONDS"),
            template_checkouts=read.folder("TEMPLATE_CHECKOUTS")
            or Path(app.instance_path) / "portal_actions_templates",
            template_webhook_secret=read.secret("TEMPLATE_WEBHOOK_SECRET"),
            yaml_merge=read.switch("YAML_MERGE"),
            environment=read.environment("ENVIRONMENT"),
            default_roles=frozenset(read.words("DEFAULT_ROLES", ",")),
            role_permissions=read.role_permissions("ROLE_PERMISSIONS"),
            require_authorizer=read.switch("REQUIRE_AUTHORIZER"),
            rate_limit=read.rate_limit("RATE_LIMIT"),
            max_running_per_identity=read.optional_count("MAX_RUNNING_PER_IDENTITY"),
            max_items=read.count("MAX_ITEMS"),
            queues=read.queues("QUEUES"),
            lease_seconds=read.seconds("LEASE_SECONDS"),
            lease_renew_seconds=read.seconds("LEASE_RENEW_SECONDS"),
            lapse_grace_seconds=read.seconds("LAPSE_GRACE_SECONDS"),
            sweep_seconds=read.seconds("SWEEP_SECONDS"),
            ring_again_seconds=read.seconds("RING_AGAIN_SECONDS"),
            retry_seconds=read.seconds("RETRY_SECONDS"),
            retry_max_seconds=read.seconds("RETRY_MAX_SECONDS"),
            drain_seconds=read.seconds("DRAIN_SECONDS"),
            stall_seconds=read.seconds("STALL_SECONDS"),
            receiver_seconds=read.seconds("RECEIVER_SECONDS"),
            scm=read_installations(app.config[PREFIX + "SCM"]),
            local_scm_root=read.folder("LOCAL_SCM_ROOT"),
            local_scm_url=read.optional_text("LOCAL_SCM_URL"),
            http_allowed_hosts=read.hosts("HTTP_ALLOWED_HOSTS"),
            http_allowed_networks=read.networks("HTTP_ALLOWED_NETWORKS"),
            http_max_bytes=read.count("HTTP_MAX_BYTES"),
            backstage_url=(read.optional_text("BACKSTAGE_URL") or "").rstrip("/"),
            max_body_bytes=read.count("MAX_BODY_BYTES"),
            max_output_bytes=read.count("MAX_OUTPUT_BYTES"),
            max_log_lines=read.count("MAX_LOG_LINES"),
            max_log_line_chars=read.count("MAX_LOG_LINE_CHARS"),
            workspaces=read_place(app.config[PREFIX + "WORKSPACES"], database_url(app)),
            max_workspace_bytes=read.count("MAX_WORKSPACE_BYTES"),
            max_workspace_files=read.count("MAX_WORKSPACE_FILES"),
            workspace_days=read.days("WORKSPACE_DAYS"),
            workspace_total=read.count("WORKSPACE_TOTAL"),
            audit_days=read.days("AUDIT_DAYS"),
        )
        if config.lease_renew_seconds * 2 > config.lease_seconds:
            raise wrong("LEASE_RENEW_SECONDS", config.lease_renew_seconds, "at most half of LEASE_SECONDS")
        return config

    @property
    def forge_addresses(self) -> ForgeAddresses:
        """Which forge an address belongs to."""
        folder = self.local_scm_root.absolute().as_uri() if self.local_scm_root else None
        return ForgeAddresses(self.scm, tuple(filter(None, (self.local_scm_url, folder))))

    def queue_for(self, action_id: str, default: str) -> str:
        """The queue of an action: the first matching pattern's, else its own."""
        for pattern, queue in self.queues.items():
            if fnmatch.fnmatchcase(action_id, pattern):
                return queue
        return default

    def page_url(self, path: str, mount: str = "") -> str:
        """The address of one of our pages, absolute when the portal's public address is known.

        Args:
            path: of the page, below ``URL_PREFIX``.
            mount: the path that the app is mounted at, where that is known and the public address is not.
        """
        return f"{self.public_url or mount}{self.url_prefix}{path}"
