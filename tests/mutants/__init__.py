"""Small bugs, put into the engine one at a time: ``python -m tests.mutants`` says which pass."""
