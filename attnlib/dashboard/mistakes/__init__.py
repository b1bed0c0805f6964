"""The page “Prediction debugging”."""
