"""What the bootstrap actions write, over the local forge, and what tools of each field say of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from portal_actions_plugin.actions.bootstraps.ci_files import TOOLCHAINS, pipeline
from portal_actions_plugin.actions.bootstraps.docs_files import documentation
from portal_actions_plugin.actions.bootstraps.k8s_files import folder_of, name_of, workload
from portal_actions_plugin.actions.forges.bootstrap import ci_bootstrap, docs_bootstrap, k8s_bootstrap
from portal_actions_plugin.actions.scm import create_or_update_file, create_repo
from portal_actions_plugin.errors import ConfigurationError, ValidationError
from portal_actions_plugin.scm.base import Operation
from portal_actions_plugin.scm.local.provider import LocalProvider
from tests.support import field_tools
from tests.support.action_helpers import ADA, MemoryRecorder, git_in, make_context

REPO = {"provider": "local", "owner": "acme", "repo": "Order_Service"}
KUBERNETES = "1.33"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "forge"
    (folder / "acme").mkdir(parents=True)
    return folder


@pytest.fixture
def ctx(root):
    return make_context(root=root)


@pytest.fixture
def bare(root):
    create_repo.run(make_context(root=root), {**REPO, "initWithReadme": True})
    return git_in(root / "acme/Order_Service.git")


def files(bare, branch="main"):
    return set(bare("ls-tree", "-r", "--name-only", branch).split())


def written(folder: Path, changes) -> list[Path]:
    """Write files into a folder, and return where they are."""
    paths = []
    for change in changes:
        file = folder / change.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(change.content)
        paths.append(file)
    return paths


def run(*command, cwd=None) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def tools():
    """Helm, kubectl and actionlint. Without them their tests are skipped, loudly; with CI set they fail."""
    try:
        field_tools.install()
    except field_tools.NotToBeHadError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"tools of other fields: {error}")


class TestWhatIsCommitted:
    def test_a_documentation_is_one_commit_and_has_a_home(self, ctx, bare):
        outputs = docs_bootstrap.run(ctx, {"repo": REPO})
        assert outputs == {"docsHome": "https://forge.example/acme/Order_Service/blob/main/docs/index.md"}
        assert files(bare) == {"README.md", "docs/index.md", "mkdocs.yml"}
        assert bare("log", "--format=%s", "main").split("\n")[:2] == ["Begin the documentation", "Initial commit"]

    def test_done_twice_it_is_one_commit_and_no_warning(self, ctx, bare):
        for action, data in (
            (docs_bootstrap, {"format": "markdown", "docsPath": "handbook"}),
            (ci_bootstrap, {"type": "gitlab-ci", "language": "go"}),
            (k8s_bootstrap, {"mode": "helm", "image": "acme/orders:1"}),
        ):
            first = action.run(ctx, {"repo": REPO, **data})
            head = bare("rev-parse", "main")
            assert action.run(ctx, {"repo": REPO, **data}) == first
            assert bare("rev-parse", "main") == head
        assert ctx.warnings == []
        assert "no commit: acme/Order_Service has all of these files" in ctx.recorder.text

    def test_what_somebody_has_written_is_left_and_named(self, ctx, bare, root):
        page = {"repo": REPO, "path": "docs/index.md", "content": "Ours\n"}
        create_or_update_file.run(make_context(root=root), page)
        docs_bootstrap.run(ctx, {"repo": REPO})
        assert bare("show", "main:docs/index.md") == "Ours\n"
        assert "mkdocs.yml" in files(bare)
        assert ctx.warnings == ["docs/index.md of acme/Order_Service is there already, and was left as it is."]

    def test_a_branch_of_its_own_is_made_from_the_default_branch(self, ctx, bare):
        data = {"repo": REPO, "branch": "portal/ci", "type": "github-actions", "language": "python"}
        assert ci_bootstrap.run(ctx, data) == {"ciFile": ".github/workflows/ci.yml"}
        assert files(bare) == {"README.md"}
        workflow = yaml.safe_load(bare("show", "portal/ci:.github/workflows/ci.yml"))
        assert workflow["on"]["push"] == {"branches": ["main"]}, "pushes to the default branch, not to this one"

    def test_given_commands_take_the_place_of_the_usual_ones(self, ctx, bare):
        commands = {"buildCommand": "make build", "testCommand": 'echo "a: b" # c\nmake test'}
        ci_bootstrap.run(ctx, {"repo": REPO, "type": "gitlab-ci", "language": "go", **commands})
        job = yaml.safe_load(bare("show", "main:.gitlab-ci.yml"))["build-and-test"]
        assert job["script"] == list(commands.values())

    def test_an_image_that_was_not_given_is_a_warning(self, ctx, bare):
        assert k8s_bootstrap.run(ctx, {"repo": REPO, "servicePort": 9000}) == {"path": "k8s"}
        assert "acme/order_service:latest stands in the files" in ctx.warnings[0]
        container = yaml.safe_load(bare("show", "main:k8s/deployment.yaml"))["spec"]["template"]["spec"]["containers"][
            0
        ]
        assert container["image"] == "acme/order_service:latest"
        assert container["ports"] == [{"name": "http", "containerPort": 9000}]

    def test_an_empty_repository_gets_its_first_commit(self, ctx, root):
        create_repo.run(make_context(root=root), REPO)
        k8s_bootstrap.run(ctx, {"repo": REPO, "mode": "helm", "image": "acme/orders:1"})
        assert "helm/order-service/Chart.yaml" in files(git_in(root / "acme/Order_Service.git"))

    def test_a_forge_that_takes_no_workflows_refuses_them_by_name(self, ctx, bare, root):
        class Without(LocalProvider):
            operations = LocalProvider.operations - {Operation.COMMIT_WORKFLOWS}

        ctx.make_scm = lambda _name, asking: Without(root, None, asking.recorder.ensure_ours, ADA)
        data = {"repo": REPO, "type": "github-actions", "language": "go"}
        assert ci_bootstrap.operations_for(data) == {Operation.COMMIT, Operation.COMMIT_WORKFLOWS}
        assert ci_bootstrap.operations_for({**data, "type": "gitlab-ci"}) == {Operation.COMMIT}
        with pytest.raises(ConfigurationError, match="cannot commit workflows of its CI"):
            ci_bootstrap.run(ctx, data)
        assert files(bare) == {"README.md"}

    def test_an_attempt_that_died_after_its_commit_is_finished_by_the_next(self, root, bare):
        ctx = make_context(MemoryRecorder(), root=root)
        first = docs_bootstrap.run(ctx, {"repo": REPO})
        assert docs_bootstrap.run(make_context(root=root), {"repo": REPO}) == first
        assert bare("rev-list", "--count", "main").strip() == "2"

    def test_wrong_fields_are_named(self):
        wrong = (
            (docs_bootstrap, {"docsPath": "../x", "format": "word"}, {"docsPath", "format"}),
            (ci_bootstrap, {"type": "jenkins", "language": "cobol"}, {"type", "language"}),
            (k8s_bootstrap, {"mode": "swarm", "servicePort": 0, "image": "a b"}, {"mode", "servicePort", "image"}),
        )
        for action, data, named in wrong:
            with pytest.raises(ValidationError) as caught:
                action.load_input({"repo": REPO, **data})
            assert set(caught.value.fields) == named


class TestPipelines:
    @pytest.mark.usefixtures("tools")
    @pytest.mark.parametrize("language", sorted(TOOLCHAINS))
    def test_actionlint_has_nothing_to_say_of_a_workflow(self, language):
        file = pipeline("github-actions", language, branch="main", build=None, test=None)
        assert field_tools.actionlint(file.content.decode()) == []

    @pytest.mark.usefixtures("tools")
    def test_actionlint_would_say_something(self):
        text = pipeline("github-actions", "go", branch="main", build=None, test=None).content.decode()
        assert field_tools.actionlint(text.replace("github.ref", "github.reff"))

    @pytest.mark.parametrize("language", sorted(TOOLCHAINS))
    @pytest.mark.parametrize("kind", ["github-actions", "gitlab-ci"])
    def test_a_pipeline_is_as_its_forges_schema_says(self, kind, language, tmp_path):
        branch, test = "release/1.x", "make 'test': all # yes\n\tif true; then echo ok; fi"
        (file,) = written(tmp_path, [pipeline(kind, language, branch=branch, build=None, test=test)])
        schema = {"github-actions": "vendor.github-workflows", "gitlab-ci": "vendor.gitlab-ci"}[kind]
        run(Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", schema, file)


class TestDocumentation:
    @pytest.mark.parametrize("folder", ["docs", "handbook/pages"])
    def test_mkdocs_builds_it(self, folder, tmp_path):
        written(tmp_path, documentation("Orders: 'the' service", folder, "mkdocs"))
        run(sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", cwd=tmp_path)
        assert "Orders: 'the' service" in (tmp_path / "site/index.html").read_text().replace("&#39;", "'")

    def test_plain_markdown_is_one_page(self):
        assert [file.path for file in documentation("orders", "docs", "markdown")] == ["docs/README.md"]


class TestKubernetes:
    @pytest.mark.parametrize(
        ("repo", "name"),
        [("orders", "orders"), ("Order_Service.v2", "order-service-v2"), ("9lives", "app-9lives"), ("_", "app")],
    )
    def test_its_names_are_names_of_kubernetes(self, repo, name):
        assert name_of(repo) == name

    def test_a_long_name_is_cut(self):
        assert len(name_of("x" * 100)) == 53

    def test_manifests_are_as_the_schemas_of_kubernetes_say(self, tmp_path):
        *resources, _ = written(tmp_path, workload("9_Lives", "manifests", image="acme/lives:1", port=80))
        for file in resources:
            kubernetes_validate.validate(yaml.safe_load(file.read_text()), KUBERNETES, strict=True)

    @pytest.mark.usefixtures("tools")
    def test_kustomize_puts_them_together(self, tmp_path):
        written(tmp_path, workload("orders", "manifests", image="acme/orders:1", port=80))
        made = list(yaml.safe_load_all(run(field_tools.KUBECTL, "kustomize", tmp_path / "k8s")))
        assert {one["kind"] for one in made} == {"Deployment", "Service"}

    @pytest.mark.usefixtures("tools")
    @pytest.mark.parametrize("repo", ["orders", "Order_Service.v2", "x" * 100])
    def test_helm_lints_the_chart_and_renders_what_kubernetes_takes(self, repo, tmp_path):
        written(tmp_path, workload(repo, "helm", image="registry.example.com:5000/acme/orders@sha256:0a", port=8080))
        chart = tmp_path / folder_of(repo, "helm")
        run(field_tools.HELM, "lint", "--strict", chart)
        made = list(yaml.safe_load_all(run(field_tools.HELM, "template", "shop", chart, "--set", "service.port=81")))
        assert [one["kind"] for one in made] == ["Service", "Deployment"]
        for one in made:
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
        service, deployment = made
        assert service["spec"]["ports"][0]["port"] == 81
        assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert labels.items() >= service["spec"]["selector"].items()
