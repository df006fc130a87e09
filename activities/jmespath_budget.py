"""Evaluate JMESPath within a budget: 125 characters can ask for an exponential amount of work.

An expression such as `[@,@]|[@,@]|…` doubles its value with each part, by reference: small in memory, and endless once
it is compared, written or counted. So the size of a value is counted as it would be written, each step is paid for, and
a function or a comparison costs the size of what it reads.
"""

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import jmespath
from jmespath.functions import Functions
from jmespath.visitor import Options, TreeInterpreter

MAX_WORK = 2_000_000
"""Steps, and values that are read or built in them: about three seconds."""
MAX_SIZE = 1_000_000
"""Parts of one value; a result may have 1.8 MB at most anyway."""
QUICK_WORK = 2_000
"""About three milliseconds: such an expression may hold up other actions. A value has no more parts then, either."""
QUICK_EXPRESSION = 1_000
"""Characters; parsing takes time, too."""
TEXT_UNIT = 16
"""Characters that count as one part."""
WORK_BETWEEN_CHECKS = 10_000


class BudgetExceeded(Exception):
    """The expression is too expensive for this data."""


def search(expression: str, data: Any, seconds: float) -> Any:
    """Return the value of an expression; raises JMESPathError and BudgetExceeded."""
    return _search(expression, data, _Budget(MAX_WORK, MAX_SIZE, time.monotonic() + seconds))


def search_quickly(expression: str, data: Any) -> Any:
    """Return the value of an expression that takes little time; raises JMESPathError and BudgetExceeded."""
    if len(expression) > QUICK_EXPRESSION:
        raise BudgetExceeded
    return _search(expression, data, _Budget(QUICK_WORK, QUICK_WORK, math.inf))


def _search(expression: str, data: Any, budget: "_Budget") -> Any:
    parsed: Any = jmespath.compile(expression)
    budget.measure(data)
    return _Interpreter(budget).visit(parsed.parsed, data)


class _Budget:
    def __init__(self, work: int, max_size: int, deadline: float) -> None:
        self.deadline = deadline
        self.max_size = max_size
        self.left = work
        self.next_check = work - WORK_BETWEEN_CHECKS
        self.sizes: dict[int, int] = {}
        self.measured: list[Any] = []
        """Keeps what was measured alive: `sizes` goes by identity."""

    def spend(self, work: int) -> None:
        self.left -= work
        if self.left < 0:
            raise BudgetExceeded
        if self.left < self.next_check:
            self.next_check = self.left - WORK_BETWEEN_CHECKS
            if time.monotonic() > self.deadline:
                raise BudgetExceeded

    def measure(self, value: Any) -> int:
        """Return the size of a value, written out; parts that were measured before are not walked again."""
        if isinstance(value, str):
            return 1 + len(value) // TEXT_UNIT
        if not isinstance(value, list | dict):
            return 1
        size = self.sizes.get(id(value))
        if size is None:
            self.spend(len(value))
            size = 1 + sum(map(self.measure, value.values() if isinstance(value, dict) else value))
            self.sizes[id(value)] = size
            self.measured.append(value)
        return size


class _Interpreter(TreeInterpreter):
    def __init__(self, budget: _Budget) -> None:
        super().__init__(Options(custom_functions=_PaidFunctions(budget)))
        self.budget = budget
        comparisons = {name: self._charge(compare) for name, compare in TreeInterpreter.COMPARATOR_FUNC.items()}
        self.COMPARATOR_FUNC = comparisons  # type: ignore[misc]  # the library reads it from the instance

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        """Evaluate one node of the expression and pay for it."""
        result = super().visit(node, *args, **kwargs)
        self.budget.spend(1)
        if self.budget.measure(result) > self.budget.max_size:
            raise BudgetExceeded
        return result

    def _charge(self, compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def paid(left: Any, right: Any) -> Any:
            self.budget.spend(min(self.budget.measure(left), self.budget.measure(right)))
            return compare(left, right)

        return paid


class _PaidFunctions(Functions):
    def __init__(self, budget: _Budget) -> None:
        self.budget = budget

    def call_function(self, function_name: str, resolved_args: Iterable[Any]) -> Any:
        """Call a function and pay for all that it may read."""
        arguments = list(resolved_args)
        self.budget.spend(sum(map(self.budget.measure, arguments)))
        return super().call_function(function_name, arguments)
