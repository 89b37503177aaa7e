"""Hooks of schemathesis: which generated requests are sent."""

from schemathesis import Case, GenerationMode, HookContext, hook


@hook
def filter_case(context: HookContext, case: Case) -> bool:
    """Leave out invalid requests that ask for reports of invalid texts instead of a refusal."""
    is_invalid = case.meta is not None and case.meta.generation.mode is GenerationMode.NEGATIVE
    reports = isinstance(case.body, dict) and case.body.get("on_error") == "null"
    return not (is_invalid and reports)
