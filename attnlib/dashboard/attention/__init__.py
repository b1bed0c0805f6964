"""Parts of the page “CLS attention”."""
