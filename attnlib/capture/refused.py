"""Attention-like modules that are refused by name, and why."""

from __future__ import annotations

DIFFERENTIAL = (
    "differential attention subtracts two attention maps; the difference is signed, so rows "
    "are no shares and rollout is not defined"
)

# Attention-like modules whose weights do not say how much one token attends to another.
NOT_TOKEN_ATTENTION = {
    "XCA": "cross-covariance attention weighs channels against channels, not tokens",
    "CrossCovarianceAttn": "cross-covariance attention weighs channels, not tokens",
    "ChannelAttention": "channel attention weighs channels against channels, not tokens",
    "ChannelAttentionV2": "channel attention weighs channels against channels, not tokens",
    "GlobalContext": "a global context block has one weight per position and no queries",
    "FactorAttnConvRelPosEnc": (
        "factorised attention multiplies keys and values first and never forms weights between "
        "tokens"
    ),
    "LinearSelfAttention": "linear attention has one weight per position and no queries",
    "EfficientAdditiveAttention": "additive attention has one weight per token and no queries",
    "BatNonLocalAttn": "a bilinear transform has no weights between queries and keys",
    "SplitAttn": "split attention weighs channels, not tokens",
    "SelectiveKernelAttn": "a selective kernel weighs channels, not tokens",
    "HSMSSD": "a state-space mixer has no weights between tokens",
    "LambdaLayer": "a lambda layer never forms weights between queries and keys",
    "DiffAttention": DIFFERENTIAL,
    "DiffParallelScalingBlock": DIFFERENTIAL,
}
