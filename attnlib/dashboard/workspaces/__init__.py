"""The page “Workspaces”: what is kept, whom it is shared with, and what happened to it."""
