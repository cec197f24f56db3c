"""The machine in trouble: its disk, its clock."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.outside.parts import Database, Postgres, Sqlite
from tests.outside.play import Play, SkipScenarioError
from tests.outside.scenarios import scenario

SIZES = {"sqlite": "12m", "postgresql": "160m"}


@scenario("disk-full")
def disk_full(play: Play) -> None:
    """The database's disk is filled up for 10 s, twice."""
    disk = _small_disk(play)
    database = _on(play, disk)
    stage = play.make_stage(database)
    stage.start()
    play.measure(stage)
    play.people(stage, 30)
    for _ in play.during(30):
        play.wait(play.rng.uniform(2, 4))
        _fill(disk / "filler")
        play.wait(play.rng.uniform(6, 10))
        (disk / "filler").unlink()
        if isinstance(database, Postgres) and not database.is_up():
            database.start()
    play.settle()


def _small_disk(play: Play) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="out-disk-"))
    size = SIZES[play.asked.database]
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "none", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        folder.rmdir()
        raise SkipScenarioError(f"A small disk cannot be mounted here: {mounted.stderr.decode().strip()}")

    def unmount() -> None:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        folder.rmdir()

    play.at_the_end(unmount)
    return folder


def _on(play: Play, disk: Path) -> Database:
    database: Database
    if play.asked.database == "sqlite":
        database = Sqlite(disk)
    else:
        database = Postgres(disk / "data")
        database.options |= {"min_wal_size": "32MB", "max_wal_size": "48MB"}
    play.at_the_end(database.close)
    database.start()
    return database


def _fill(file: Path) -> None:
    """Write until nothing more fits."""
    with file.open("wb", buffering=0) as out:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    out.write(b"\0" * size)
            except OSError:
                continue


# -- clocks --------------------------------------------------------------------------------------------------------------

SHIM = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long shift(void) { char *s = getenv("OUTSIDE_CLOCK_SHIFT"); return s ? atol(s) : 0; }

int clock_gettime(clockid_t id, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(id, out);
    if (!status && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) out->tv_sec += shift();
    return status;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
"""
HOUR = 3600


@scenario("clocks-apart", ("postgresql",))
def clocks_apart(play: Play) -> None:
    """The clocks of the web and of two supervisors are hours to days away from the server's and from each other."""
    shim = _shim(play)
    stage = play.make_stage()
    stage.services_are_given = lambda name, number: {
        "LD_PRELOAD": str(shim),
        "OUTSIDE_CLOCK_SHIFT": str(_shift(play, name, number)),
    }
    stage.start(supervisors=2)
    play.measure(stage)
    play.people(stage, 25)
    play.wait(play.span(8))
    for service in stage.supervisors():
        stage.end(service)
        stage.add_supervisor()
    play.settle()


def _shift(play: Play, name: str, number: int) -> int:
    if name == "web":
        return play.rng.choice((-30 * HOUR, 5 * HOUR))
    return (-7 * HOUR, 11 * HOUR, 100 * HOUR, -500 * HOUR)[number % 4]


def _shim(play: Play) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise SkipScenarioError("There is no C compiler here for the clock's shim.")
    folder = play.make_folder()
    (folder / "shim.c").write_text(SHIM)
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(folder / "shim.so"), str(folder / "shim.c"), "-ldl"]
    subprocess.run(command, check=True)
    return folder / "shim.so"
