"""Deletes old versions of the similarity function, and then old models from the file system.

    python scripts/prune_versions.py semblance            # print what would be deleted
    python scripts/prune_versions.py semblance --delete

Keeps the newest versions, as many as `model-sync` keeps models
(`file_system_config.keep_versions`), and every version that an alias points to, also with a share
of the events. `model-sync` then removes old models as after an apply, but none of a version that is
left. Credentials and region come from the environment; requires boto3.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# Versions to keep if the function has no file system.
KEEP = 3
MODELS = ("SEMBLANCE_BUNDLE", "SEMBLANCE_CROSS_ENCODER_BUNDLE")
# A copy of a large model may take as long as a function may run.
TIMEOUT_SECONDS = 900


class PruneError(Exception):
    """A version or a model cannot be deleted."""


@dataclass(frozen=True)
class Version:
    """A published version and its models: names and digests."""

    number: int
    models: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, configuration: dict[str, Any]) -> Version:
        """Reads a version from its configuration."""
        variables = configuration.get("Environment", {}).get("Variables", {})
        paths = [PurePosixPath(variables[name]) for name in MODELS if name in variables]
        models = frozenset((path.parent.name, path.name) for path in paths)
        return cls(int(configuration["Version"]), models)


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("function", help="name of the similarity function")
    parser.add_argument("--sync", help="name of the model-sync function [FUNCTION-model-sync]")
    parser.add_argument("--keep", type=int, help="number of versions to keep, 2 or more")
    parser.add_argument("--delete", action="store_true", help="delete, instead of printing what")
    arguments = parser.parse_args()
    if arguments.keep is not None and arguments.keep < 2:
        parser.error("--keep must be 2 or more: without another version there is no rollback")
    # The copy must not start twice because its answer takes long.
    config = Config(read_timeout=TIMEOUT_SECONDS, retries={"max_attempts": 0})
    try:
        prune(boto3.client("lambda", config=config), arguments)
    except (PruneError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def prune(api: Any, arguments: argparse.Namespace) -> None:
    """Prints what is kept and deleted; deletes it if asked."""
    sync = arguments.sync or f"{arguments.function}-model-sync"
    keep = arguments.keep or kept_models(api, sync)
    versions = published(api, arguments.function)
    aliases = aliased(api, arguments.function)
    newest = {version.number for version in versions[-(keep or KEEP) :]}
    kept = [version for version in versions if version.number in newest | set(aliases)]
    old = [version for version in versions if version not in kept]
    for version in versions:
        reason = aliases.get(version.number) or ("recent" if version in kept else "delete")
        print(f"version {version.number}: {reason}")
    if not arguments.delete:
        return
    for version in old:
        api.delete_function(FunctionName=arguments.function, Qualifier=str(version.number))
    # Without a file system there are no models to remove.
    if keep is not None and is_deployed(api, sync):
        prune_models(api, sync, kept)


def published(api: Any, function: str) -> list[Version]:
    """Returns the published versions, oldest first."""
    pages = api.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    found = [entry for page in pages for entry in page["Versions"]]
    versions = [Version.of(entry) for entry in found if entry["Version"] != "$LATEST"]
    return sorted(versions, key=lambda version: version.number)


def aliased(api: Any, function: str) -> dict[int, str]:
    """Returns the versions that aliases point to, also with a share of the events, and which."""
    found: dict[int, str] = {}
    for page in api.get_paginator("list_aliases").paginate(FunctionName=function):
        for alias in page["Aliases"]:
            shares = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            for version in {alias["FunctionVersion"], *shares} - {"$LATEST"}:
                found[int(version)] = f"alias {alias['Name']}"
    return found


def is_deployed(api: Any, function: str) -> bool:
    """Returns whether a function exists."""
    try:
        api.get_function_configuration(FunctionName=function)
    except api.exceptions.ResourceNotFoundException:
        return False
    return True


def kept_models(api: Any, sync: str) -> int | None:
    """Returns the number of models that model-sync keeps; None without that function."""
    if not is_deployed(api, sync):
        return None
    variables = api.get_function_configuration(FunctionName=sync)["Environment"]["Variables"]
    return int(variables["SEMBLANCE_KEEP_VERSIONS"])


def prune_models(api: Any, sync: str, kept: list[Version]) -> None:
    """Lets model-sync remove old models, but none of the versions that are left."""
    used = [set(version.models) for version in kept]
    # The bucket has the objects of the newest version's models.
    for name, digest in sorted(kept[-1].models):
        in_use = sorted(other for model, other in set.union(*used) if model == name)
        event = {"model_name": name, "digest": digest, "keep": in_use}
        answer = api.invoke(FunctionName=sync, Payload=json.dumps(event))
        result = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise PruneError(f"{sync} cannot prune {name}: {json.dumps(result)}")
        print(f"model {name}: {len(in_use)} in use, deleted {json.dumps(result['pruned'])}")


if __name__ == "__main__":
    sys.exit(main())
