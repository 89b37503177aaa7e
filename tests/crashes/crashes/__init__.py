"""Crashes of `semblance index`: at named points, at random moments, with loss of unsynced data.

`file_system` models a disk that keeps only what was synced; `trace` reads what a command did from
strace; `corpus` has the commands under test and what must hold after a crash.
"""
