"""The names that a module with custom actions imports (SPEC §5)."""

from activities.registry import ActionContext, ActionFailed, action

__all__ = ["ActionContext", "ActionFailed", "action"]
