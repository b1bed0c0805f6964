"""The page “Head similarity”: what the heads of a model do, and to which mistakes."""
