"""Actions that give a repository what it lacks: documentation, a pipeline, a place to run. What is there is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate

from portal_actions_plugin.actions.bootstraps import ci_files, docs_files, k8s_files
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_commits import OpenRepo, open_repo
from portal_actions_plugin.actions.scm_fields import (
    AsRequester,
    follows,
    message_field,
    optional_text,
    repo_field,
    repo_lock,
    target_branch_field,
)
from portal_actions_plugin.actions.scm_operations import commits_to
from portal_actions_plugin.scm.base import Operation
from portal_actions_plugin.scm.names import check_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.scm.base import FileChange, RepoRef

_COMMAND = validate.Length(min=1, max=4000)
_IMAGE = validate.Regexp(
    r"^[a-z0-9]([A-Za-z0-9._/:@-]{0,500})$(?!\n)", error="An image is such as registry.example.com/team/app:1.0."
)


class Bootstrap(AsRequester):
    """What all of them take."""

    repo = repo_field()
    branch = target_branch_field()


class DocsBootstrap(Bootstrap):
    docs_path = fields.String(
        data_key="docsPath",
        load_default="docs",
        validate=follows(check_path, "docsPath"),
        metadata={"description": "The folder of the pages, relative to the top of the repository."},
    )
    format = fields.String(
        load_default="mkdocs",
        validate=validate.OneOf(docs_files.FORMATS),
        metadata={"description": "A site of MkDocs, or plain Markdown."},
    )
    message = message_field("Begin the documentation")


class DocsBootstrapOutput(Schema):
    docs_home = fields.String(data_key="docsHome", metadata={"description": "The address of its first page's source."})


@action(
    "docs.bootstrap@v1",
    title="Begin a documentation",
    input=DocsBootstrap,
    output=DocsBootstrapOutput,
    idempotent=True,
    timeout=120,
    lock=repo_lock,
    operations=(Operation.COMMIT,),
)
def docs_bootstrap(
    ctx: ActionContext,
    *,
    repo: RepoRef,
    branch: str | None,
    docs_path: str,
    format: str,  # noqa: A002 the input's name
    message: str | None,
) -> dict[str, Any]:
    """Write the first pages of a documentation with one commit. A file that is there is left as it is."""
    opened = open_repo(ctx, repo, Operation.COMMIT)
    files = docs_files.documentation(repo.repo, docs_path, format)
    _write_missing(opened, branch, files, message or "Begin the documentation")
    home = opened.scm.file_url(opened.ref, branch or opened.ref.default_branch, files[0].path)
    ctx.link("Documentation", home)
    return {"docsHome": home}


class CiBootstrap(Bootstrap):
    type = fields.String(
        required=True,
        validate=validate.OneOf(list(ci_files.PATHS)),
        metadata={"description": "Whose pipeline it is: that of the forge, or what it also runs."},
    )
    language = fields.String(
        required=True,
        validate=validate.OneOf(list(ci_files.TOOLCHAINS)),
        metadata={"description": "Whose tools it has, and whose usual commands."},
    )
    build_command = optional_text(
        "The shell command that builds. Default: the language's usual one.", data_key="buildCommand", validate=_COMMAND
    )
    test_command = optional_text(
        "The shell command that tests. Default: the language's usual one.", data_key="testCommand", validate=_COMMAND
    )
    message = message_field("Build and test every change")


class CiBootstrapOutput(Schema):
    ci_file = fields.String(data_key="ciFile", metadata={"description": "The path of the pipeline."})


def _of_pipeline(data: Mapping[str, object]) -> frozenset[Operation]:
    path = ci_files.PATHS.get(str(data.get("type")), "")
    return commits_to(iter([path]))


@action(
    "ci.bootstrap@v1",
    title="Set up a pipeline",
    input=CiBootstrap,
    output=CiBootstrapOutput,
    idempotent=True,
    timeout=120,
    lock=repo_lock,
    operations=_of_pipeline,
)
def ci_bootstrap(
    ctx: ActionContext,
    *,
    repo: RepoRef,
    branch: str | None,
    type: str,  # noqa: A002 the input's name
    language: str,
    build_command: str | None,
    test_command: str | None,
    message: str | None,
) -> dict[str, Any]:
    """Write a pipeline that builds and tests every change. One that is there is left as it is."""
    opened = open_repo(ctx, repo, Operation.COMMIT)
    default = opened.ref.default_branch
    file = ci_files.pipeline(type, language, branch=default, build=build_command, test=test_command)
    _write_missing(opened, branch, [file], message or "Build and test every change")
    ctx.link(file.path, opened.scm.file_url(opened.ref, branch or default, file.path))
    return {"ciFile": file.path}


class K8sBootstrap(Bootstrap):
    mode = fields.String(
        load_default="manifests",
        validate=validate.OneOf(k8s_files.MODES),
        metadata={"description": "Plain manifests with a kustomization, or a Helm chart."},
    )
    service_port = fields.Integer(
        data_key="servicePort",
        strict=True,
        load_default=8080,
        validate=validate.Range(min=1, max=65_535),
        metadata={"description": "The port that the container listens on, and that its Service has."},
    )
    image = optional_text(
        "The image that is run, with its tag. Default: owner/name:latest, which is to be changed.", validate=_IMAGE
    )
    message = message_field("Run it on Kubernetes")


class K8sBootstrapOutput(Schema):
    path = fields.String(metadata={"description": "The folder of the manifests or of the chart."})


@action(
    "k8s.bootstrap@v1",
    title="Prepare for Kubernetes",
    input=K8sBootstrap,
    output=K8sBootstrapOutput,
    idempotent=True,
    timeout=120,
    lock=repo_lock,
    operations=(Operation.COMMIT,),
)
def k8s_bootstrap(
    ctx: ActionContext,
    *,
    repo: RepoRef,
    branch: str | None,
    mode: str,
    service_port: int,
    image: str | None,
    message: str | None,
) -> dict[str, Any]:
    """Write a Deployment and a Service with one commit. A file that is there is left as it is."""
    opened = open_repo(ctx, repo, Operation.COMMIT)
    named = image or f"{repo.full_name.lower()}:latest"
    files = k8s_files.workload(repo.repo, mode, image=named, port=service_port)
    _write_missing(opened, branch, files, message or "Run it on Kubernetes")
    if not image:
        ctx.warn(f"No image was given, so {named} stands in the files: change it to what your pipeline pushes.")
    return {"path": k8s_files.folder_of(repo.repo, mode)}


def _write_missing(opened: OpenRepo, branch: str | None, files: Sequence[FileChange], message: str) -> None:
    """Commit the files that are not there, and warn of those that are there with another content."""
    where = branch or opened.ref.default_branch
    if opened.scm.branch_head(opened.ref, where) is None:
        where = opened.ref.default_branch
    missing = []
    for file in files:
        there = opened.scm.read_file(opened.ref, where, file.path)
        if there is None:
            missing.append(file)
        elif there[0] != file.content:
            opened.ctx.warn(f"{file.path} of {opened.ref.full_name} is there already, and was left as it is.")
    if missing:
        opened.commit_to(branch, missing, message)
    else:
        opened.ctx.log(f"no commit: {opened.ref.full_name} has all of these files")
