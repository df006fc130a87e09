"""The expression language of SPEC §3, `{{ path | pipe }}` in strings: one module per pass, no I/O, no clock."""

from orchestrator.language.env import Env
from orchestrator.language.evaluate import suggest_minus
from orchestrator.language.functions import FUNCTIONS, Function
from orchestrator.language.nodes import Name
from orchestrator.language.pipes import PIPES, Pipe
from orchestrator.language.secrets import (
    find_secret_names,
    map_links,
    render_parameters,
    render_secret,
    resolve_part,
    reveal,
)
from orchestrator.language.template import (
    CompiledEntries,
    CompiledValue,
    Template,
    compile_expression,
    compile_template,
    compile_value,
    walk,
)
from orchestrator.language.values import MISSING

__all__ = [
    "FUNCTIONS",
    "MISSING",
    "PIPES",
    "CompiledEntries",
    "CompiledValue",
    "Env",
    "Function",
    "Name",
    "Pipe",
    "Template",
    "compile_expression",
    "compile_template",
    "compile_value",
    "find_secret_names",
    "map_links",
    "render_parameters",
    "render_secret",
    "resolve_part",
    "reveal",
    "suggest_minus",
    "walk",
]
