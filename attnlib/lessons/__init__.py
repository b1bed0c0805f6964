"""One attention computation explained, and a playground of words."""
