"""Application Auto Scaling: the tags of scalable targets, which the provider reads."""

import json

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse as Response

_tags: dict[str, dict[str, str]] = {}
_moto_register = Response.register_scalable_target


def _register_scalable_target(self: Response) -> str:
    answer = _moto_register(self)
    arn = json.loads(answer)["ScalableTargetARN"]
    _tags.setdefault(arn, {}).update(self._get_param("Tags") or {})
    return answer


def _list_tags_for_resource(self: Response) -> str:
    return json.dumps({"Tags": _tags.get(self._get_param("ResourceARN"), {})})


def _tag_resource(self: Response) -> str:
    _tags.setdefault(self._get_param("ResourceARN"), {}).update(self._get_param("Tags") or {})
    return "{}"


def _untag_resource(self: Response) -> str:
    for key in self._get_param("TagKeys") or []:
        _tags.get(self._get_param("ResourceARN"), {}).pop(key, None)
    return "{}"


def mend() -> None:
    """Add the tagging operations."""
    Response.register_scalable_target = _register_scalable_target  # type: ignore[method-assign]
    for name, operation in (
        ("list_tags_for_resource", _list_tags_for_resource),
        ("tag_resource", _tag_resource),
        ("untag_resource", _untag_resource),
    ):
        setattr(Response, name, operation)
