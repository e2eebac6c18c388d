"""Mutated files and run directories, opened as the app opens them: nothing may break."""
