"""Several hosts on one machine, and a cable that is cut."""
