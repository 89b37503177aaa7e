"""The environment of both interfaces."""

import os

from doors import built

# One each: batches of one shape on both sides, so that their numbers can be compared.
THREADS = "1"


def environment(*, cross_encoder: bool = True) -> dict[str, str]:
    """The variables of the process, the settings of the test in place of the user's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEMBLANCE_")}
    kept["SEMBLANCE_BUNDLE"] = str(built("build/model/default", "model"))
    kept["SEMBLANCE_ORT_LIBRARY"] = str(built("build/lib/libonnxruntime.so", "setup"))
    kept["SEMBLANCE_THREADS"] = THREADS
    # The level at which the server says where it listens.
    kept["AWS_LAMBDA_LOG_LEVEL"] = "INFO"
    if cross_encoder:
        kept["SEMBLANCE_CROSS_ENCODER_BUNDLE"] = str(cross_encoder_bundle())
    return kept


def cross_encoder_bundle() -> str:
    """Folder of the small seeded cross-encoder."""
    return str(built("build/model/cross", "build/model/.cross"))
