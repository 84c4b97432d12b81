"""What goes wrong around the engine: interpreters, processes, places, missing packages."""
