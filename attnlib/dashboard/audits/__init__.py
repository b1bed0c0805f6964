"""The page “Audits”: large sets, asked by their parts."""
