"""How the GPU path is checked on machines without a GPU: see README.md."""
