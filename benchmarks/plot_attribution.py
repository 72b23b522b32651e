"""Draw what ``ragcli eval attribution --json`` measured: LDS by method, with its intervals.

    ragcli eval attribution ten.jsonl.gz --limit 200 --json > attribution.jsonl
    python benchmarks/plot_attribution.py attribution.jsonl docs/attribution.svg

One bar a method, best first; bars differ in length and label alone, so that no colour is needed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.sax.saxutils import escape

LABEL, BAR, ROW, TOP = 150, 400, 26, 40
GRAY, DARK = "#9ab", "#234"


def bar(number: int, line: dict[str, object]) -> str:
    """Label, bar, interval and figure of one method."""
    name, mean = str(line["method"]), float(str(line["LDS"]))
    intervals = line["intervals"]
    assert isinstance(intervals, dict)
    low, high = intervals["LDS"]
    y = TOP + number * ROW

    def x(value: float) -> float:
        return LABEL + BAR * max(value, 0.0)

    middle = y + ROW / 2 - 2
    return (
        f'<text x="{LABEL - 8}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LABEL}" y="{y}" width="{x(mean) - LABEL:.1f}" height="{ROW - 6}"'
        f' fill="{GRAY}"/>'
        f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{middle}" y2="{middle}"'
        f' stroke="{DARK}" stroke-width="2"/>'
        f'<text x="{x(high) + 6:.1f}" y="{middle + 4}">{mean:.2f}</text>'
    )


def main() -> int:
    """Read the measurements and write the drawing."""
    source, target = map(Path, sys.argv[1:3])
    lines = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    lines.sort(key=lambda line: -line["LDS"])
    height = TOP + len(lines) * ROW + 10
    title = f"Linear datamodelling score, {lines[0]['n']} questions of ten passages"
    body = "\n".join(bar(number, line) for number, line in enumerate(lines))
    target.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL + BAR + 60}" height="{height}"'
        f' font-family="sans-serif" font-size="13" fill="{DARK}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="8" y="22" font-size="14">{escape(title)}</text>\n{body}\n</svg>\n',
        encoding="utf-8",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
