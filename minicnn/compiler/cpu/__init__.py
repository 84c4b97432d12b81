"""The compiled step on the CPU: see ``docs/compile.md``."""
