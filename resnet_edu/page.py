"""A page of HTML that stands alone: one file, no scripts, nothing fetched, readable in light and dark."""

from __future__ import annotations

from html import escape
from string import Template

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ground: #ffffff; --text: #1c2126; --quiet: #5f6b76; --line: #e3e7ea;
  --card: #f6f8f9; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #141414; --text: #e6eaee; --quiet: #9aa6b1; --line: #30363c; --card: #1e2226; }
}
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--ground);
  color: var(--text); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 46rem; overflow-wrap: anywhere; }
.quiet { color: var(--quiet); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
td, th { text-align: left; vertical-align: top; padding: .35rem 1.25rem .35rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-weight: 600; }
tbody th { min-width: 9rem; max-width: 20rem; }
$style
</style>
</head>
<body>
<h1>$title</h1>
$content
</body>
</html>
""")


def page(title: str, content: str, style: str) -> str:
    """The page with this title (text), this content (HTML) and the styles (CSS) that only it needs."""
    return _PAGE.substitute(title=escape(title), content=content, style=style.strip())
