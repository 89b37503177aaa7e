"""A repository on the Hugging Face hub. Only this module uses huggingface_hub."""

import re
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import (
    _CACHED_NO_EXIST,
    file_exists,
    hf_hub_download,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from semblance_model.refusal import Refusal

_COMMIT = re.compile(r"^[0-9a-f]{40}$")


class HubSource:
    """A hub repository at one commit. Cached files are not downloaded again."""

    def __init__(self, repository: str, revision: str) -> None:
        self._repository = repository
        self._revision = revision
        self.identity = f"hub:{repository}"
        self.suggested_name = repository.rsplit("/", 1)[-1].lower()
        config = self.path("config.json")
        if config is None:
            raise Refusal("source.file_missing", f"{self._where()}: config.json is missing")
        # The cache stores a file under its commit. All other files are requested at that commit, so
        # a branch that moves meanwhile cannot mix two versions.
        commit = config.parent.name
        if not _COMMIT.match(commit):
            raise Refusal(
                "source.invalid", f"{self._where()}: {commit!r} is not a commit of 40 hex digits"
            )
        self._revision = commit

    def path(self, name: str) -> Path | None:
        try:
            return Path(hf_hub_download(self._repository, name, revision=self._revision))
        except LocalEntryNotFoundError as error:
            # Without a network, the cache may still know that the file does not exist.
            known = try_to_load_from_cache(self._repository, name, revision=self._revision)
            if known is _CACHED_NO_EXIST:
                return None
            raise self._unreachable(name) from error
        except EntryNotFoundError:
            return None
        except (GatedRepoError, RepositoryNotFoundError) as error:
            raise Refusal(
                "source.hub_not_found",
                f"{self._where()}: the repository does not exist or is not public",
            ) from error
        except RevisionNotFoundError as error:
            raise Refusal(
                "source.hub_not_found", f"{self._where()}: the revision does not exist"
            ) from error
        except HFValidationError as error:
            raise Refusal("source.invalid", f"{self._where()}: not a hub id") from error
        except OSError as error:
            raise self._unreachable(name) from error

    def has(self, name: str) -> bool:
        try:
            return bool(file_exists(self._repository, name, revision=self._revision))
        except OSError as error:
            raise self._unreachable(name) from error

    def revision(self, weights: Sequence[Path]) -> str:
        return self._revision

    def _where(self) -> str:
        return f"hub repository {self._repository}, revision {self._revision}"

    def _unreachable(self, name: str) -> Refusal:
        return Refusal(
            "source.hub_unreachable",
            f"{self._where()}: the Hugging Face hub cannot be reached for {name}, and the file is "
            "not in the local cache; without a network, pass a local sentence-transformers folder "
            "with --source",
        )
