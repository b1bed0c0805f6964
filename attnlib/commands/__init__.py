"""What the shell can ask: one command, one file."""
