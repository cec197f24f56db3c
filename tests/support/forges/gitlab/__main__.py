"""Run the double by itself: ``python -m tests.support.forges.gitlab --port 8080``."""

from __future__ import annotations

import argparse
import tempfile
import threading
from pathlib import Path

from tests.support.forges.gitlab import OWNER, GitLabDouble


def main() -> None:
    parser = argparse.ArgumentParser(description="A double of GitLab with the person ada and the group acme.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default="", help="ada's token; otherwise one is made")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="gitlab-") as folder,
        GitLabDouble(Path(folder), port=arguments.port) as gitlab,
    ):
        ada = gitlab.add_user("ada")
        gitlab.add_group("acme", {"ada": OWNER})
        token = gitlab.add_token(ada, "api", value=arguments.token)
        print(f"{gitlab.url} token={token}", flush=True)  # noqa: T201 whoever starts it reads this
        threading.Event().wait()


if __name__ == "__main__":
    main()
