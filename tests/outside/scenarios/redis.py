"""Redis in trouble: it may lose everything, and nothing may be lost by that."""

from __future__ import annotations

import signal

from tests.outside.play import Play
from tests.outside.scenarios import scenario


@scenario("redis-killed")
def redis_killed(play: Play) -> None:
    """Redis is killed with -9, with and without its data, and is away for up to 4 s."""
    stage = play.open()
    play.people(stage, 25)
    keep_data = True
    for _ in play.during(25):
        keep_data = not keep_data
        play.wait(play.rng.uniform(1, 3))
        stage.redis.kill(keep_data=keep_data)
        play.wait(play.rng.uniform(0.2, 4))
        stage.redis.start()
    play.settle()


@scenario("redis-hangs")
def redis_hangs(play: Play) -> None:
    """Redis hangs, then goes on, again and again; then the sockets of all clients are closed under them."""
    stage = play.open()
    play.people(stage, 30)
    for _ in play.during(20):
        play.wait(play.rng.uniform(1, 2))
        stage.redis.signal(signal.SIGSTOP)
        play.wait(play.rng.uniform(2, 6))
        stage.redis.signal(signal.SIGCONT)
    for _ in play.during(8):
        play.wait(play.rng.uniform(0.2, 1.0))
        stage.redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    play.settle()
