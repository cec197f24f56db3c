"""What stands between a portal and PostgreSQL: a network, a pooler."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.outside.parts import Postgres, end_with_us, free_port, wait_until
from tests.outside.play import Play, SkipScenarioError
from tests.outside.proxy import Proxy
from tests.outside.scenarios import scenario
from tests.outside.stage import Stage

ONLY = ("postgresql",)
AWAY_SECONDS = 20


def _behind_a_proxy(play: Play) -> tuple[Stage, Proxy]:
    database = play.make_database()
    assert isinstance(database, Postgres)
    proxy = Proxy(database)
    play.at_the_end(proxy.close)
    stage = play.make_stage(database, DATABASE_URL=proxy.url)
    stage.start()
    play.measure(stage)
    return stage, proxy


@scenario("half-open", ONLY)
def half_open(play: Play) -> None:
    """A proxy before the database accepts, and stalls for 5 to 15 s, twice."""
    stage, proxy = _behind_a_proxy(play)
    play.people(stage, 35)
    for _ in play.during(35):
        play.wait(play.rng.uniform(2, 4))
        proxy.be("stall")
        play.wait(play.rng.uniform(5, 15))
        proxy.be("pass")
    play.settle()


@scenario("hangs-up", ONLY)
def hangs_up(play: Play) -> None:
    """A proxy before the database lets clients log in and hangs up at the first query, for 20 s."""
    stage, proxy = _behind_a_proxy(play)
    play.people(stage, 25)
    play.wait(2)
    proxy.be("hang-up")
    play.wait(play.span(AWAY_SECONDS))
    proxy.be("pass")
    play.settle()


@scenario("blackhole", ONLY)
def blackhole(play: Play) -> None:
    """Packets to the database vanish for 10 s, in the middle of transactions; then the connections are reset."""
    stage, proxy = _behind_a_proxy(play)
    play.people(stage, 35)
    for _ in play.during(35):
        play.wait(play.rng.uniform(1, 3))
        proxy.be("blackhole")
        play.wait(play.rng.uniform(8, 12))
        proxy.be("pass")
    play.settle()


# -- pgbouncer -----------------------------------------------------------------------------------------------------------

BOUNCER = """\
[databases]
outside = host={server} port={server_port} dbname=outside user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = {mode}
unix_socket_dir =
logfile = {folder}/pgbouncer.log
pidfile = {folder}/pgbouncer.pid
"""


def _program() -> str:
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "pgbouncer"], check=False, capture_output=True)
        found = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    if not found:
        raise SkipScenarioError("pgbouncer is not here. On Debian and Ubuntu: apt-get install pgbouncer")
    return found


def _behind_pgbouncer(play: Play, mode: str) -> tuple[Stage, Postgres]:
    program, database = _program(), play.make_database()
    assert isinstance(database, Postgres)
    port, folder = free_port(), database.folder
    settings = BOUNCER.format(server=folder, server_port=database.port, port=port, mode=mode, folder=folder)
    (folder / "pgbouncer.ini").write_text(settings)
    command = [program, "-q", str(folder / "pgbouncer.ini")]
    pooler = subprocess.Popen(command, preexec_fn=end_with_us, **database.as_user())
    play.at_the_end(lambda: (pooler.send_signal(signal.SIGKILL), pooler.wait()))  # type: ignore[func-returns-value]
    wait_until(lambda: Path(folder / "pgbouncer.pid").exists(), 20, "pgbouncer is up")
    stage = play.make_stage(database)  # the docs say: tables are upgraded over a connection to the server itself
    stage.settings["DATABASE_URL"] = database.url_at("127.0.0.1", port)
    return stage, database


def _stop_the_server(play: Play, mode: str) -> None:
    stage, database = _behind_pgbouncer(play, mode)
    stage.start()
    play.measure(stage)
    play.people(stage, 30)
    play.wait(3)
    database.stop("fast")
    play.wait(play.span(AWAY_SECONDS))
    database.start()
    play.settle()


@scenario("pgbouncer-session", ONLY)
def pgbouncer_session(play: Play) -> None:
    """The server behind a pgbouncer at its defaults, session pooling, is stopped for 20 s."""
    _stop_the_server(play, "session")


@scenario("pgbouncer-transaction", ONLY)
def pgbouncer_transaction(play: Play) -> None:
    """The server behind a pgbouncer with transaction pooling is stopped for 20 s."""
    _stop_the_server(play, "transaction")
