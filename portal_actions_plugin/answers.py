"""What functions of other people answer: awaited where they are async, and never taken for more than it is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from importlib.util import find_spec

from flask import current_app

from portal_actions_plugin.errors import ConfigurationError

INSTALL_ASYNC = 'Install it: pip install "portal-actions-plugin[async]" (it is what "flask[async]" brings).'


def name_of(function: object) -> str:
    """What somebody finds a function or an object by in their code: its module and its name there."""
    while isinstance(function, functools.partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def is_async(function: object) -> bool:
    """Whether calling it gives something to be awaited, as far as can be known without calling it."""
    while isinstance(function, functools.partial):
        function = function.func
    call = getattr(type(function), "__call__", None)  # noqa: B004 an object's own may be async
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def require_async(function: object, what: str) -> None:
    """Refuse what is async where nothing can await it; raises ConfigurationError, which names ``what`` and the extra."""
    if is_async(function) and find_spec("asgiref") is None:
        raise ConfigurationError(
            f"{what} is async ({name_of(function)}), and asgiref, which runs such functions, is not installed. "
            f"{INSTALL_ASYNC}"
        )


def refuse_async(function: object, what: str) -> None:
    """Refuse what is async where it must not be; raises ConfigurationError, which names ``what``."""
    if is_async(function):
        raise ConfigurationError(
            f"{what} is async ({name_of(function)}): it has to be a plain function, which may call asyncio.run()."
        )


def settled(answer: object) -> object:
    """An answer as it is, or what it comes to when it is to be awaited; raises what that raises.

    It is awaited as Flask awaits a host's async views, also where a loop runs in this thread already: that one waits.
    """
    if not inspect.isawaitable(answer):
        return answer
    try:
        return _awaited(answer)
    finally:
        drop(answer)


def drop(answer: object) -> None:
    """Close a coroutine that nobody is going to await: Python complains of it elsewhere otherwise."""
    if inspect.iscoroutine(answer):
        answer.close()


def _awaited(answer: Awaitable[object]) -> object:
    if find_spec("asgiref") is None:
        raise ConfigurationError(f"asgiref, which runs async functions, is not installed. {INSTALL_ASYNC}")

    async def wait() -> object:
        return await answer

    wait_here: Callable[[], object] = current_app.ensure_sync(wait)
    if not _is_in_a_loop():
        return wait_here()
    import contextvars
    from concurrent.futures import ThreadPoolExecutor

    # No loop can be started where another one runs. The context goes along: `request` and `g` are in it.
    with ThreadPoolExecutor(1, "portal-actions-hook") as elsewhere:
        return elsewhere.submit(contextvars.copy_context().run, wait_here).result()


def _is_in_a_loop() -> bool:
    import asyncio  # here it is imported anyway, and a portal without async functions does without

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def kind_of(answer: object) -> str:
    """What kind of answer it is, for a message: never the answer itself, which may be a secret."""
    return "None" if answer is None else f"with a {type(answer).__name__}"
