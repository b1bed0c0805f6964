"""Numbers to colours and pictures."""
