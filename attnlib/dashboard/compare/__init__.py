"""The page “Rollout vs flow”: do the methods agree, and which should one believe?"""
