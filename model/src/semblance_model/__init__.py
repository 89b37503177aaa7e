"""Builds a model bundle from a sentence-transformers folder, without torch."""
