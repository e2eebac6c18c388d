"""Kills at random moments; see ``__main__``."""
