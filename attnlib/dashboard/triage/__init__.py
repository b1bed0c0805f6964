"""The loop: which images, in which order, one after the other, and what is said of them."""
