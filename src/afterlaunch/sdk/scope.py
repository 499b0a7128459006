"""A `with` block that can stand above a function as well."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

Given = TypeVar("Given")
Function = TypeVar("Function", bound=Callable[..., Any])


class Scope(Generic[Given]):
    """`make` opens one block; above a function every call gets a block of its own."""

    def __init__(self, make: Callable[[], AbstractContextManager[Given]]) -> None:
        self._make, self._open = make, make()

    def __enter__(self) -> Given:
        return self._open.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._open.__exit__(kind, problem, trace)

    def __call__(self, function: Function) -> Function:
        """Raises TypeError for a generator, whose body runs after the call is over."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__name__} is a generator: open the block inside it, with `with`")
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def awaited(*args: Any, **named: Any) -> Any:
                with self._make():
                    return await function(*args, **named)

            return cast(Function, awaited)

        @wraps(function)
        def called(*args: Any, **named: Any) -> Any:
            with self._make():
                return function(*args, **named)

        return cast(Function, called)
