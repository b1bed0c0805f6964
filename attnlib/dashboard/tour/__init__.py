"""A tour in three steps for those who are new: the mistakes, their cause, the proof."""
