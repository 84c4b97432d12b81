"""Side by side with PyTorch, one command a question."""
