"""The double as a program: ``python -m tests.support.forges.github --port 4001``; the first line that it prints says where.

It has the person ada, administrator of the organisation acme, and bob; the line has a token of ada's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.support.forges import control
from tests.support.forges.github import GitHubDouble


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any")
    parser.add_argument("--folder", type=Path, help="where repositories lie; a temporary one otherwise")
    parser.add_argument("--enterprise", default="", help="the version of an Enterprise Server: the API is at /api/v3")
    parser.add_argument("--control", default="", help="the path of a socket for tests.support.forges.control")
    options = parser.parse_args()
    with GitHubDouble(options.folder, port=options.port, enterprise=options.enterprise) as double:
        double.add_user("ada")
        double.add_user("bob")
        double.add_organization("acme", ada="admin", bob="member")
        token = double.classic_token("ada", "repo", "workflow", "admin:org", "delete_repo").token
        control.run(double, {"url": double.url, "api_url": double.api_url, "token": token}, options.control)


if __name__ == "__main__":
    main()
