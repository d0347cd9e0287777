"""Build the test pages and their truth from the files in `source/`.

`source/*.templates` hold the page frames, `source/*.pages` the contents and `source/pools.txt`
the lines that fill menus and lists.  In a frame or a content, ⟦ ⟧ enclose main text and ⟪ ⟫ text
that a measure counts as neither (comments, reviews, reference lists).  The marks do not reach the
page: they only decide what the truth files hold.

Usage: python tests/data/pages/build.py [--check]
"""

from __future__ import annotations

import html
import random
import re
import sys
import zlib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / "source"
MAIN, NEITHER = "⟦⟧", "⟪⟫"
DEFAULTS = {
    "p": "<p>{}</p>",
    "br": "<br>",
    "h2": "<h2>{}</h2>",
    "h3": "<h3>{}</h3>",
    "h4": "<h4>{}</h4>",
    "quote": "<blockquote><p>{}</p></blockquote>",
    "code": "<pre><code>{}</code></pre>",
    "fig": '<figure><img src="/img/{id}.jpg" alt=""><figcaption>{t}</figcaption></figure>',
    "table": "<table>{}</table>",
    "ul": "<ul>{}</ul>",
    "ad": "",
    "comment": "",
    "post": "",
}
BLOCKS = (
    "address article aside blockquote body br caption center dd details dialog div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol "
    "option p pre section summary table tbody tfoot thead title tr ul"
)
BLOCK_TAGS = frozenset(BLOCKS.split())
SKIPPED_TAGS = {"script", "style", "noscript", "annotation", "button", "iframe", "svg", "textarea"}


@dataclass
class Content:
    """One page of a `.pages` file: its head line, its fields, posts and comments."""

    name: str
    template: str
    held: str
    notes: str
    fields: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)
    posts: list[tuple[str, str]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


@dataclass
class Built:
    """A page, the lines of its main text and the lines that count as neither."""

    page: str
    main: list[str]
    neither: list[str]


class TruthReader(HTMLParser):
    """Collect the marked text of a page, one line per block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: dict[str, list[str]] = {MAIN: [], NEITHER: []}
        self.parts: dict[str, list[str]] = {MAIN: [], NEITHER: []}
        self.state = ""
        self.skipped = ""
        self.pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Break the block at a block's start and note where text is skipped."""
        if tag in BLOCK_TAGS:
            self.flush()
        elif tag in ("td", "th"):
            self.add(" ")
        self.pre += tag == "pre"
        is_math = tag == "script" and (dict(attrs).get("type") or "").startswith("math/tex")
        if tag in SKIPPED_TAGS and not self.skipped and not is_math:
            self.skipped = tag

    def handle_endtag(self, tag: str) -> None:
        """Break the block at a block's end and leave skipped text."""
        if tag in BLOCK_TAGS:
            self.flush()
        self.pre -= tag == "pre" and self.pre > 0
        if tag == self.skipped:
            self.skipped = ""

    def handle_data(self, data: str) -> None:
        """Take the text between marks."""
        for piece in re.split("([⟦⟧⟪⟫])", data):
            if piece in ("⟦", "⟪"):
                self.state = MAIN if piece == "⟦" else NEITHER
            elif piece in ("⟧", "⟫"):
                self.add(" ")
                self.state = ""
            else:
                self.add(piece)

    def add(self, text: str) -> None:
        """Append text to the block of the present state; in `pre` a line is a block."""
        if not self.state or self.skipped:
            return
        if not self.pre:
            self.parts[self.state].append(text)
            return
        for number, line in enumerate(text.split("\n")):
            if number:
                self.flush()
            self.parts[self.state].append(line)

    def flush(self) -> None:
        """End the present block."""
        for state, parts in self.parts.items():
            text = "".join(parts)
            text = text.rstrip() if self.pre else " ".join(text.split())
            if text.strip():
                self.lines[state].append(text)
            parts.clear()


def inline(text: str) -> str:
    """Replace `code`, **bold** and [text](address) by their elements."""
    text = re.sub(r"`([^`]+)`", lambda m: f"<code>{html.escape(m[1], quote=False)}</code>", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', text)


def rows(lines: list[str], style: dict[str, str]) -> str:
    """Render `| a | b |` lines as a table whose first line is the head."""
    out = []
    for number, line in enumerate(lines):
        tag = "td" if number else "th"
        cells = [inline(cell.strip()) for cell in line.strip().strip("|").split("|")]
        out.append("<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>\n")
    return style["table"].replace("{}", "\n" + "".join(out))


def block(lines: list[str], style: dict[str, str]) -> str:
    """Render one block of the light mark-up."""
    first = lines[0]
    if first.startswith("<"):
        return "\n".join(lines)
    if first == "!!ad":
        return "⟧" + style["ad"] + "⟦"
    if first.startswith("! "):
        return style["fig"].replace("{t}", inline(first[2:]))
    heading = re.match(r"(#{1,3}) (.+)", first)
    if heading:
        return style[f"h{len(heading[1]) + 1}"].replace("{}", inline(heading[2]))
    if first.startswith("|"):
        return rows(lines, style)
    if first.startswith("> "):
        return style["quote"].replace("{}", style["br"].join(inline(s[2:]) for s in lines))
    if re.match(r"(-|\d+\.) ", first):
        items = "".join(f"<li>{inline(s.split(' ', 1)[1])}</li>\n" for s in lines)
        if first.startswith("-"):
            return style["ul"].replace("{}", items)
        return f"<ol>\n{items}</ol>"
    return style["p"].replace("{}", (style["br"] + "\n").join(inline(s) for s in lines))


def render(text: str, style: dict[str, str], rng: random.Random) -> str:
    """Render a body of the light mark-up as HTML in the manner of the page's template."""
    out: list[str] = []
    lines: list[str] = []
    code: list[str] | None = None
    for line in [*text.strip("\n").split("\n"), ""]:
        if line.startswith("```"):
            if code is None:
                code = []
            else:
                shown = html.escape("\n".join(code), quote=False)
                out.append(style["code"].replace("{}", shown))
                code = None
        elif code is not None:
            code.append(line)
        elif line.strip():
            lines.append(line)
        elif lines:
            out.append(block(lines, style))
            lines = []
    return re.sub(r"\{id\}", lambda _: str(rng.randrange(10**5, 10**6)), "\n".join(out))


def sections(suffix: str) -> list[tuple[str, str]]:
    """Return the head line and text of every section of the source files with this suffix."""
    found = []
    for path in sorted(SOURCE.glob(f"*.{suffix}")):
        for part in re.split(r"^%%% ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            head, _, text = part.partition("\n")
            found.append((head.strip(), text))
    return found


def read_templates() -> dict[str, tuple[dict[str, str], str]]:
    """Return per template its directives and its frame."""
    templates = {}
    for name, text in sections("templates"):
        top, _, frame = text.partition("---\n")
        given = [line.partition(" = ") for line in top.splitlines()]
        wrong = [key for key, _, _ in given if key not in DEFAULTS]
        if wrong:
            raise ValueError(f"template {name}: no directive: {wrong[0]!r}; give `key = value`")
        templates[name] = (DEFAULTS | {key: value for key, _, value in given}, frame.strip())
    return templates


def read_content(head: str, text: str) -> Content:
    """Parse one page of a `.pages` file; a field is `@key value`, a body `@@key` and lines."""
    name, template, held, notes = (part.strip() for part in head.split("|"))
    page = Content(name, template, held, notes)
    key, fenced = "", False
    lines: list[str] = []

    def close() -> None:
        body = "\n".join(lines)
        if key == "comments":
            page.comments.extend(line for line in lines if line.strip())
        elif key.startswith("post "):
            page.posts.append((key[5:], body))
        elif key:
            page.bodies[key] = body
        lines.clear()

    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        single = None if fenced else re.match(r"@(\w+) (.+)", line)
        many = None if fenced else re.match(r"@@(.+)", line)
        if single:
            page.fields[single[1]] = single[2]
        elif many:
            close()
            key = many[1].strip()
        else:
            lines.append(line)
    close()
    return page


def read_pools() -> dict[str, list[str]]:
    """Return the lines of each pool."""
    pools: dict[str, list[str]] = {}
    name = ""
    for line in (SOURCE / "pools.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            name = line[3:].strip()
            pools[name] = []
        elif line.strip():
            pools[name].append(line.strip())
    return pools


def fill(wrap: str, rng: random.Random, **values: str) -> str:
    """Fill the `{key}` places of a directive; `{id}` and `{date}` are drawn."""
    day = f"20{rng.randrange(18, 26)}.{rng.randrange(1, 13):02}.{rng.randrange(1, 29):02}"
    clock = f"{rng.randrange(0, 24):02}:{rng.randrange(0, 60):02}"
    drawn = {"id": str(rng.randrange(10**4, 10**6)), "date": day, "clock": clock}
    drawn["count"] = str(rng.randrange(0, 90))
    for key, value in (drawn | values).items():
        wrap = wrap.replace("{" + key + "}", value)
    return wrap


def comment_list(lines: list[str], wrap: str, rng: random.Random) -> str:
    """Render `nick | text` lines with the template's comment directive."""
    pairs = [line.partition("|") for line in lines]
    return "\n".join(fill(wrap, rng, nick=a.strip(), t=inline(b.strip())) for a, _, b in pairs)


def post_list(page: Content, style: dict[str, str], rng: random.Random) -> str:
    """Render the posts of a thread; lines that start with `^ ` are comments of their post."""
    out = []
    for number, (nick, text) in enumerate(page.posts, 1):
        notes = [line[2:] for line in text.splitlines() if line.startswith("^ ")]
        body = "\n".join(line for line in text.splitlines() if not line.startswith("^ "))
        shown = "⟦" + render(body, style, rng) + "⟧"
        below = comment_list(notes, style["comment"], rng)
        values = {"nick": nick, "n": str(number), "comments": below, "body": shown}
        out.append(fill(style["post"], rng, **values))
    return "\n".join(out)


def build_page(page: Content, templates: dict[str, tuple[dict[str, str], str]]) -> Built:
    """Return the page and its truth."""
    style, frame = templates[page.template]
    rng = random.Random(zlib.crc32(page.name.encode()))
    pools = read_pools()

    def pick(match: re.Match[str]) -> str:
        chosen = rng.sample(pools[match[1]], int(match[2]))
        return "\n".join(fill(match[3], rng, t=t, n=str(n)) for n, t in enumerate(chosen, 1))

    slots = dict(page.fields)
    for key, text in page.bodies.items():
        slots[key] = "⟦" + render(text, style, rng) + "⟧"
    slots["posts"] = post_list(page, style, rng)
    slots["comments"] = comment_list(page.comments, style["comment"], rng)
    slots["ncomments"] = str(len(page.comments))
    slots["nposts"] = str(max(len(page.posts) - 1, 0))

    def slot(match: re.Match[str]) -> str:
        return slots.get(match[1], match[2] or "")

    marked = re.sub(r"\{\{pick (\w+) (\d+) (.*?)\}\}", pick, frame)
    marked = re.sub(r"\{\{(\w+)(?:\|(.*?))?\}\}", slot, marked)
    marks = re.sub("[^⟦⟧⟪⟫]", "", marked)
    if re.sub("⟦⟧|⟪⟫", "", marks):
        raise ValueError(f"page {page.name}: a mark is not closed before the next one opens")
    reader = TruthReader()
    reader.feed(marked)
    reader.close()
    reader.flush()
    bare = re.sub("[⟦⟧⟪⟫]", "", marked) + "\n"
    return Built(bare, reader.lines[MAIN], reader.lines[NEITHER])


def build_all() -> dict[str, str]:
    """Return the text of every generated file by its name."""
    templates = read_templates()
    files = {}
    index = ["name\tlanguage\ttype\theld\ttemplate\tnotes"]
    for head, text in sections("pages"):
        page = read_content(head, text)
        built = build_page(page, templates)
        files[f"{page.name}.html"] = built.page
        files[f"{page.name}.txt"] = "".join(f"{line}\n" for line in built.main)
        if built.neither:
            files[f"{page.name}.comments.txt"] = "".join(f"{line}\n" for line in built.neither)
        language, kind = page.name.split("-")[:2]
        columns = (page.name, language, kind, page.held, page.template, page.notes)
        index.append("\t".join(columns))
    files["index.tsv"] = "\n".join(index) + "\n"
    return files


def main() -> int:
    """Write the files, or with `--check` name those that differ from the source."""
    files = build_all()
    if "--check" not in sys.argv[1:]:
        for name, text in files.items():
            (HERE / name).write_text(text, encoding="utf-8")
        return 0
    have = {p.name for p in HERE.iterdir() if p.suffix in (".html", ".txt", ".tsv")}
    wrong = sorted(have ^ set(files))
    wrong += [n for n in files if n in have and (HERE / n).read_text(encoding="utf-8") != files[n]]
    for name in wrong:
        print(f"{name}: not as source/ builds it; run python tests/data/pages/build.py")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
