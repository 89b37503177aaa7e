"""Frameworks that use the interfaces, and readers of the files of the command line."""

import os

# Otherwise litellm downloads a list of prices when it is imported.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
