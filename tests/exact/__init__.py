"""Without a tolerance: on whole numbers every way to compute a step gives the same bits."""
