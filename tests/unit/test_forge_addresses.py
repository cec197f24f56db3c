"""Which forge an address belongs to."""

import pytest

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.settings.forge_addresses import ForgeAddresses, RepoUrl
from portal_actions_plugin.settings.installations import read_installations

SCM = {
    "ghe": {"kind": "github", "url": "https://ghe.example.com:8443"},
    "gitlab": {"url": "https://git.example.com/gitlab", "hosts": ["gitlab.example.com"]},
    "local": {"hosts": ["git.local"]},
}


@pytest.fixture
def addresses():
    return ForgeAddresses(read_installations(SCM), ("http://portal.example/forge", "file:///srv/git"))


def test_a_repo_url_is_taken_apart_as_the_format_writes_it():
    assert RepoUrl.read("GitHub.com?owner=acme&repo=orders") == RepoUrl("github.com", "acme", "orders")
    assert RepoUrl.read("gitlab.com?repo=orders&owner=acme%2Fplatform") == RepoUrl(
        "gitlab.com", "acme/platform", "orders"
    )
    assert RepoUrl.read("ghe.example.com:8443?owner=acme&repo=orders").host == "ghe.example.com:8443"


def test_gitlab_names_a_project_by_its_path_or_its_number():
    assert RepoUrl.read("gitlab.com?project=acme%2Fteam%2Forders") == RepoUrl(
        "gitlab.com", "acme/team", "orders", "acme/team/orders"
    )
    assert RepoUrl.read("gitlab.com?project=42") == RepoUrl("gitlab.com", "", "", "42")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("github.com?repo=orders", "no owner"),
        ("github.com?owner=acme", "no repo"),
        ("github.com/acme/orders", "no owner and no repo"),
        ("https://github.com?owner=acme&repo=orders", "https:// in front"),
        ("?owner=acme&repo=orders", "no host"),
        ("git[hub?owner=acme&repo=orders", "no host"),
        ("", "no host"),
    ],
)
def test_what_is_missing_is_named_with_how_to_write_it(written, said):
    with pytest.raises(ValueError, match=said) as wrong:
        RepoUrl.read(written)
    assert "github.com?owner=acme&repo=orders" in str(wrong.value)


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("github.com", "github"),
        ("GitHub.com", "github"),
        ("ghe.example.com:8443", "ghe"),
        ("git.example.com", "gitlab"),
        ("gitlab.example.com", "gitlab"),
        ("git.local", "local"),
        ("local", "local"),
        ("portal.example", "local"),
    ],
)
def test_a_host_is_of_an_installation(addresses, host, provider):
    assert addresses.at_host(host).name == provider


def test_an_unknown_host_is_of_none(addresses):
    assert addresses.at_host("gitea.example.com") is None
    assert "ghe.example.com:8443" in addresses.hosts


def test_what_the_portal_has_set_counts_before_what_is_there_by_itself():
    addresses = ForgeAddresses(read_installations({"local": {"hosts": ["github.com"]}}))
    assert addresses.at_host("github.com").name == "local"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://github.com/acme/orders", ("github", "acme", "orders", "", "", "")),
        ("https://github.com/acme/orders.git", ("github", "acme", "orders", "", "", "")),
        (
            "https://github.com/acme/orders/blob/main/docs/a%20b.md",
            ("github", "acme", "orders", "blob", "main", "docs/a b.md"),
        ),
        ("https://ghe.example.com:8443/acme/orders/tree/v1", ("ghe", "acme", "orders", "tree", "v1", "")),
        (
            "https://git.example.com/gitlab/acme/team/orders/-/blob/main/x.yaml",
            ("gitlab", "acme/team", "orders", "blob", "main", "x.yaml"),
        ),
        (
            "https://gitlab.example.com/acme/orders/-/tree/main",
            ("gitlab", "acme", "orders", "tree", "main", ""),
        ),
        (
            "http://portal.example/forge/acme/orders/blob/main/x.yaml",
            ("local", "acme", "orders", "blob", "main", "x.yaml"),
        ),
        ("file:///srv/git/acme/orders/blob/main", ("local", "acme", "orders", "blob", "main", "")),
    ],
)
def test_the_page_of_a_file_says_where_it_is(addresses, url, place):
    found = addresses.page(url)
    assert (found.provider, found.owner, found.repo, found.verb, found.ref, found.path) == place
    assert addresses.page(found.url) == found


@pytest.mark.parametrize(
    ("url", "read_at"),
    [
        ("https://github.com/acme/orders.git", "https://github.com/acme/orders.git"),
        ("https://gitlab.example.com/a/b/orders/-/tree/main", "https://git.example.com/gitlab/a/b/orders.git"),
    ],
)
def test_git_reads_a_repository_at_the_forge_itself_by_whatever_host_it_is_named(addresses, url, read_at):
    assert addresses.git_url(addresses.page(url)) == read_at


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/acme/orders/blob/main/x",
        "https://github.com.evil.example/acme/orders",
        "https://github.com/acme",
        "https://github.com/acme/orders/blob",
        "https://git.example.com/gitlab/acme/orders/-/issues/1",
        "not an address",
        "https://git.example.com/gitlab/%2e%2e/beside/tree/main/x",
        "https://git.example.com/gitlab/acme/../../beside",
        "https://github.com/acme%2f..%2f../orders",
        "https://github.com/acme/orders/tree/main/%2E%2E/secret",
        "https://github.com/acme/.git",
        "https://github.com/acme/or%0d%0aders",
    ],
)
def test_any_other_address_is_no_page_of_a_forge(addresses, url):
    assert addresses.page(url) is None


@pytest.mark.parametrize(
    ("path", "found"),
    [("/catalog-info.yaml", "catalog-info.yaml"), ("./b.yaml", "docs/b.yaml"), ("../c.yaml", "c.yaml")],
)
def test_a_path_is_found_from_the_top_or_from_beside_a_file(addresses, path, found):
    page = addresses.page("https://github.com/acme/orders/blob/main/docs/a.yaml")
    assert page.joined(path).path == found


def test_no_path_leads_out_of_the_repository(addresses):
    page = addresses.page("https://github.com/acme/orders/blob/main/docs/a.yaml")
    with pytest.raises(ValueError, match="leads out"):
        page.joined("../../x")


@pytest.mark.parametrize("hosts", ["github.com", [], ["https://github.com"], [7]])
def test_hosts_of_an_installation_are_a_list_of_hosts(hosts):
    with pytest.raises(ConfigurationError, match="a list of hosts"):
        read_installations({"local": {"hosts": hosts}})
