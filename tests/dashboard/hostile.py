"""Texts that a stranger may choose, each of which would do something if it were markup."""

TEXTS = (
    "<b>bold</b>", "<img src=http://evil.test/a.png>", "<script>alert(1)</script>",
    "<svg onload=alert(1)>", "<a href='http://evil.test'>x</a>", "&lt;b&gt; &amp; &#9731;",
    "![x](http://evil.test/b.png)", "[x](http://evil.test)", "[x]: http://evil.test", "[x][1]",
    "<http://evil.test>", "http://evil.test/c", "https://evil.test/d?e=f", "HTTPS://EVIL.TEST",
    "www.evil.test", "see www.evil.test/x.", "me@evil.test", "mailto:me@evil.test",
    "ftp://evil.test",
    "**bold** __bold__", "*i* _i_", "~~gone~~", "`code`", "```\ncode\n```", "# heading", "- item",
    "+ item", "1. item", "1) item", "> quote", "a\n---", "a\n===",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    ":material/home:", ":material_home:", ":smile:", ":+1:", ":streamlit:", ":red[x]",
    ":red-background[x]", ":blue-badge[x]", ":small[x]", ":help[x]", ":shimmer[x]",
    ":color[x]{foreground='red'}", "$x^2$", "$$x$$", "\\(x\\)", "[^1] x", "a -> b", "a <- b",
    "x -- y",
    "x >= y", "x ~= y", "javascript:alert(1)", "[x](javascript:alert(1))", "{{7*7}}", "${7*7}",
    "../../etc/passwd", "=1+1", "C:\\temp\\*.png", "\\*not\\*", "a&b;c",
    "'\"><img src=//evil.test/e>",
    "\u202egnp.exe", "a\u200bb\ufeffc", "x" * 300, "größe 猫 👩‍👩‍👧", "- [ ] todo",
    "<!-- hidden -->",
)  # fmt: skip


def seen(text: str) -> str:
    """The text as it must stand on screen: what is hidden shows, and spaces are one."""
    for hidden in "\u202e\u200b\ufeff":
        text = text.replace(hidden, "�")
    return " ".join(text.split())
