"""Many models on one bench: which runs, one process each, one table of their scores."""
