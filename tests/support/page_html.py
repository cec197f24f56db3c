"""Pages as a reader finds them: elements with their attributes and their text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

_VOID = {"meta", "link", "input", "br", "img", "path", "circle"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parts: list[str | Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(self._raw.split())

    @property
    def _raw(self) -> str:
        return "".join(part if isinstance(part, str) else part._raw for part in self.parts)

    def all(self, tag: str = "", **attributes: str) -> list[Element]:
        """Every element inside of this kind; ``class_`` matches one of its classes, the rest the whole value."""
        found = []
        for part in self.parts:
            if isinstance(part, Element):
                if part._fits(tag, attributes):
                    found.append(part)
                found += part.all(tag, **attributes)
        return found

    def one(self, tag: str = "", **attributes: str) -> Element:
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} of {tag} {attributes}"
        return found[0]

    def link(self, text: str) -> str:
        """Where the one link or links of this text lead."""
        places = {link.attributes["href"] for link in self.all("a") if link.text == text}
        assert len(places) == 1, f"{text}: {places}"
        return places.pop()

    def links(self) -> dict[str, str]:
        return {link.text: link.attributes["href"] for link in self.all("a")}

    def form(self, button: str) -> tuple[str, dict[str, str]]:
        """The address and the fields of the form with this button, and what the button itself adds to them."""
        found = [(form, inner) for form in self.all("form") for inner in form.all("button") if inner.text == button]
        assert len(found) == 1, f"{len(found)} forms with {button}"
        form, pressed = found[0]
        sent = [one for one in (*form.all("input"), pressed) if "name" in one.attributes]
        fields = {one.attributes["name"]: one.attributes.get("value", "") for one in sent}
        return pressed.attributes.get("formaction", form.attributes["action"]), fields

    def _fits(self, tag: str, attributes: dict[str, str]) -> bool:
        for name, value in attributes.items():
            if name == "class_":
                if value not in self.attributes.get("class", "").split():
                    return False
            elif self.attributes.get(name.replace("_", "-")) != value:
                return False
        return tag in ("", self.tag)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].parts.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].parts.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def read(html: str) -> Element:
    """Read a page; one whose elements do not close in order fails."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [reader.root], f"<{reader.open[-1].tag}> is never closed"
    return reader.root


def query(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


def rows(page: Element) -> list[list[str]]:
    return [[cell.text for cell in row.all("td")] for row in page.one("tbody").all("tr")]
