"""PyTorch: ``layers.py`` converts nets both ways, ``states.py`` reads saved weights."""
