"""Parts of the page “Attention walk-through”."""
