"""Measures semblance and its peers on the same work, in turn, on the same machine."""
