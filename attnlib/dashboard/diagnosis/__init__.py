"""The page “Diagnosis”: what is wrong with the model and the images, and how that is known."""
