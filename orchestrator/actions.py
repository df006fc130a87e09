"""Define an action of one's own: what a user's module imports (SPEC §5)."""

from activities.registry import ActionContext, ActionFailed, action

__all__ = ["ActionContext", "ActionFailed", "action"]
