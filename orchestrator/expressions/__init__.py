"""The expression language of SPEC §3: `{{ path | pipe }}` in strings. One pass a file, no I/O, no clock."""

from orchestrator.expressions.env import Env
from orchestrator.expressions.evaluate import MISSING
from orchestrator.expressions.functions import FUNCTIONS, Function
from orchestrator.expressions.nodes import Name
from orchestrator.expressions.pipes import PIPES, Pipe
from orchestrator.expressions.template import (
    CompiledValue,
    Template,
    compile_expression,
    compile_template,
    compile_value,
    render,
    render_parameters,
    reveal,
    walk,
)

__all__ = [
    "FUNCTIONS",
    "MISSING",
    "PIPES",
    "CompiledValue",
    "Env",
    "Function",
    "Name",
    "Pipe",
    "Template",
    "compile_expression",
    "compile_template",
    "compile_value",
    "render",
    "render_parameters",
    "reveal",
    "walk",
]
