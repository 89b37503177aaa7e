"""Measures semblance and its peers on the same work, alternating, on the same machine."""
