"""What of a worker's trouble is Redis', and what is its own."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

_OUR_OWN_TROUBLE = (errno.EBADF, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What says nothing of Redis: this process is to end, and another one to start."""


@contextmanager
def asking_redis() -> Iterator[None]:
    """Tell what is Redis' from every other error of the operating system, which is not to be taken for it.

    Raises:
        RedisError: Redis is away.
    """
    try:
        yield
    except RedisError:
        raise
    except OSError as error:
        if error.errno in _OUR_OWN_TROUBLE:
            raise
        raise RedisConnectionError(str(error)) from error
