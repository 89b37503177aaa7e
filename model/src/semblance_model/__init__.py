"""Builds a model bundle from a sentence-transformers folder, without torch."""

import os

# ONNX Runtime reads this when it is imported. Without it, its official builds collect and send
# data about models.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
