"""``argocd:create-resources`` for portals with Portal Actions: an application of Argo CD, and its project.

A portal sets where its instances are, and which environment variable has the token of each:

    ARGOCD_INSTANCES = {"main": {"url": "https://argocd.example.com", "token": "ARGOCD_TOKEN"}}
    PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS = ["argocd.example.com"]
"""

from __future__ import annotations

import os

from flask import current_app
from marshmallow import EXCLUDE, Schema, fields

from portal_actions_plugin import ActionContext, action
from portal_actions_plugin.actions.http import http_request
from portal_actions_plugin.errors import ConfigurationError, ValidationError


class CreateResources(Schema):
    """The inputs that the action has in Backstage; what else a template gives is ignored, as there."""

    class Meta:
        unknown = EXCLUDE

    app_name = fields.String(required=True, data_key="appName", metadata={"description": "The application's name."})
    argo_instance = fields.String(
        required=True, data_key="argoInstance", metadata={"description": "A name of ARGOCD_INSTANCES."}
    )
    namespace = fields.String(required=True, metadata={"description": "Where in the cluster it is deployed."})
    repo_url = fields.String(required=True, data_key="repoUrl", metadata={"description": "The repository to deploy."})
    path = fields.String(required=True, metadata={"description": "The folder in it with the manifests."})
    project_name = fields.String(
        load_default=None,
        data_key="projectName",
        metadata={"description": "A project to make; by default the app's name."},
    )
    label_value = fields.String(
        load_default=None,
        data_key="labelValue",
        metadata={"description": "The label backstage-name; by default the app's name."},
    )


class CreateResourcesOutput(Schema):
    application_url = fields.String(data_key="applicationUrl", metadata={"description": "The application's page."})


@action(
    "argocd:create-resources",
    title="Deploy with Argo CD",
    input=CreateResources,
    output=CreateResourcesOutput,
    idempotent=True,
    timeout=120,
    lock=lambda data: f"argocd:{data.get('argoInstance')}:{data.get('appName')}",
)
def create_resources(
    ctx: ActionContext,
    *,
    app_name: str,
    argo_instance: str,
    namespace: str,
    repo_url: str,
    path: str,
    project_name: str | None,
    label_value: str | None,
) -> dict[str, str]:
    """Create an application of Argo CD and its project, or update those that are there."""
    url, token = _instance(argo_instance)
    project = project_name or app_name
    destination = {"server": "https://kubernetes.default.svc", "namespace": namespace}
    labels = {"backstage-name": label_value or app_name}

    def post(what: str, body: dict[str, object]) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        # The guards of http.request@v1: the portal's hosts, no private network, limits on time and size.
        http_request.run(ctx, {"method": "POST", "url": f"{url}/api/v1/{what}", "secretHeaders": headers, "body": body})

    ctx.redact(token)
    metadata = {"name": project}
    spec = {"sourceRepos": [repo_url], "destinations": [destination]}
    post("projects", {"project": {"metadata": metadata, "spec": spec}, "upsert": True})
    app = {
        "metadata": {"name": app_name, "labels": labels},
        "spec": {
            "project": project,
            "destination": destination,
            "source": {"repoURL": repo_url, "path": path},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        },
    }
    post("applications?upsert=true", app)
    page = f"{url}/applications/{app_name}"
    ctx.link(f"{app_name} in Argo CD", page)
    return {"applicationUrl": page}


def _instance(name: str) -> tuple[str, str]:
    known = current_app.config.get("ARGOCD_INSTANCES", {})
    if name not in known:
        message = f"There is no instance of Argo CD called {name}: there is {', '.join(known) or 'none'}."
        raise ValidationError(message, fields={"argoInstance": [message]})
    token = os.environ.get(known[name]["token"])
    if not token:
        raise ConfigurationError(
            f"The token of the Argo CD {name} is not there.",
            hint=f"Tell your platform team: set {known[name]['token']} for the workers.",
        )
    return known[name]["url"].rstrip("/"), token
