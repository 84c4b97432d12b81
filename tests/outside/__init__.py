"""Other people's tests, run against this engine: ``python -m tests.outside``."""
