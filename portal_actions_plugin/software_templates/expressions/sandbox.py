"""The Jinja environments that evaluate a template author's expressions: few things are allowed, each in bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from jinja2 import StrictUndefined, Undefined
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from portal_actions_plugin.software_templates.expressions import host_calls
from portal_actions_plugin.software_templates.expressions.filters import FILTERS, METHODS, TESTS
from portal_actions_plugin.software_templates.expressions.limits import (
    MAX_INT_BITS,
    MAX_RANGE,
    SandboxError,
    current_budget,
    fits,
    measured,
    settled,
)
from portal_actions_plugin.software_templates.expressions.rewriting import CHECKS
from portal_actions_plugin.software_templates.expressions.undefined import Sparse, nothing
from portal_actions_plugin.software_templates.expressions.values import text

MAX_TOKENS = 20_000
"""Words and signs of one skeleton file."""
_LOOP_PARTS = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "cycle"})


class _ShortEnough(Extension):
    """Stops before a long source is parsed and compiled, which nothing could interrupt."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Count the tokens on their way to the parser."""
        for count, token in enumerate(stream):
            if count > MAX_TOKENS:
                raise SandboxError(f"it has more than {MAX_TOKENS:,} words and signs")
            yield token


class _Filters(dict[str, Any]):
    """Ours, and those of the host that have no name of ours: looked up at each call, as other apps have others."""

    def __missing__(self, name: str) -> Callable[..., object]:
        return host_filter(name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in host_calls.current().filters

    def get(self, name: str, default: object = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


def host_filter(name: str) -> Callable[..., object]:
    """A host's filter, with its arguments and its result checked; raises KeyError."""
    function = host_calls.current().filters[name]

    def call(*args: object) -> object:
        return host_calls.called(f"filter {name!r}", function, args)

    return call


def host_globals() -> Mapping[str, object]:
    """A host's globals by name, those that are functions with their arguments and results checked."""
    host = host_calls.current()
    return {**host.values, **{name: _host_function(name, function) for name, function in host.functions.items()}}


def _host_function(name: str, function: Callable[..., object]) -> Callable[..., object]:
    def call(*args: object) -> object:
        return host_calls.called(f"function {name!r}", function, args)

    return call


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, narrowed: only named filters, tests and methods, and results that stay in bounds."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, **options: Any) -> None:
        super().__init__(
            variable_start_string="${{",
            variable_end_string="}}",
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            optimized=False,  # the optimizer would compute constants while a template is only being loaded
            finalize=text,
            extensions=(_ShortEnough,),
            **options,
        )
        self.globals.clear()
        self.globals["range"] = _short_range
        self.filters = _Filters({**FILTERS, **CHECKS})
        self.tests = dict(TESTS)

    def getattr(self, obj: object, attribute: str) -> object:
        """Look up a name that the author wrote, which an error may repeat."""
        return self._look_up(obj, attribute, repr(attribute))

    def getitem(self, obj: object, argument: object) -> object:
        """Look up a computed key or index, which no error repeats: it may be a secret."""
        return self._look_up(obj, argument, "the key")

    def _look_up(self, obj: object, argument: object, shown: str) -> object:
        """Find a key, an index or one of the allowed methods; a key wins over a method of its name."""
        current_budget().check_time()
        if isinstance(obj, Undefined):
            return obj
        try:
            if isinstance(obj, Sparse) and isinstance(argument, str):
                return obj.part(argument)
            if isinstance(obj, Mapping):
                return obj[argument]
            if isinstance(obj, str | list | tuple) and isinstance(argument, int | slice):
                return obj[argument]
        except (LookupError, TypeError, ValueError):
            pass
        return self._allowed(obj, argument, shown)

    def _allowed(self, obj: object, name: object, shown: str) -> object:
        if isinstance(obj, LoopContext) and name in _LOOP_PARTS:
            return getattr(obj, name)
        if name == "length" and isinstance(obj, str | list | tuple):
            return len(obj)
        for kind, methods in METHODS:
            if isinstance(obj, kind) and isinstance(name, str) and name in methods:
                return partial(methods[name], obj)
        return nothing(obj, name, shown)

    def call(self, context: Context, obj: object, /, *args: object, **kwargs: object) -> object:
        """Call what a look-up allowed, and measure what comes back."""
        return settled(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """Compute, after a look at the operands, so that no huge value is made first and measured later."""
        if operator == "%" and isinstance(left, str):
            raise SandboxError("% works on numbers only: write a ~ b to join texts")
        for number in (left, right):
            if isinstance(number, int):
                measured(number)
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and isinstance(times, int):
                    fits(len(many) * max(0, times))
        if operator == "**":
            _check_power(left, right)
        return measured(super().call_binop(context, operator, left, right))


def _short_range(*numbers: int) -> range:
    made = range(*numbers)
    # len() of a range beyond the machine's word raises OverflowError, which is reported as "too large".
    if len(made) > MAX_RANGE:
        raise SandboxError(f"range gives at most {MAX_RANGE:,} numbers")
    return made


def _check_power(base: object, exponent: object) -> None:
    """Refuse a power whose number would be too long, before it is computed."""
    if not isinstance(base, int) or not isinstance(exponent, int):
        return
    if abs(base) > 1 and abs(exponent) * base.bit_length() > MAX_INT_BITS:
        raise SandboxError("it makes a number that is too long")
