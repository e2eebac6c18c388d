"""The command line: one module a group of commands, all work done elsewhere."""
