"""Tokens of YAML 1.2 that PyYAML does not take: tabs between tokens, and any character in the name of an anchor."""

from __future__ import annotations

import yaml

_BREAKS = "\r\n\x85\u2028\u2029"
_ENDS = f"#\0{_BREAKS}"


class ScanningLoader(yaml.SafeLoader):
    """SafeLoader that skips tabs where they part tokens, and says so where they would indent."""

    def scan_to_next_token(self) -> None:
        """Skip blanks, comments and line breaks."""
        if self.index == 0 and self.peek() == "\ufeff":
            self.forward()
        while True:
            self._skip_blanks()
            if self.peek() == "#":
                while self.peek() not in f"\0{_BREAKS}":
                    self.forward()
            if not self.scan_line_break():  # type: ignore[no-untyped-call]
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def _skip_blanks(self) -> None:
        is_indentation = self.column == 0
        blanks = self._blanks()
        self.forward(len(blanks))
        if "\t" not in blanks or self.flow_level or self.peek() in _ENDS:
            return
        if is_indentation:
            mark = self.get_mark()
            raise yaml.scanner.ScannerError(None, None, "tabs cannot indent: write spaces", mark)
        self.allow_simple_key = False  # neither a list nor a mapping begins behind a tab

    def scan_plain_spaces(self, indent: int, start_mark: object) -> list[str] | None:
        """Read the blanks and line breaks within a text without quotes."""
        blanks = self._blanks()
        if "\t" in blanks and self.peek(len(blanks)) not in _BREAKS:
            self.forward(len(blanks))
            return [blanks]
        self.forward(len(blanks) if "\t" in blanks else 0)
        found: list[str] | None = super().scan_plain_spaces(indent, start_mark)
        return found

    def scan_anchor(self, token: type[yaml.AnchorToken] | type[yaml.AliasToken]) -> yaml.Token:
        """Read ``&name`` or ``*name``.

        Args:
            token: the class of what is read.
        """
        start = self.get_mark()
        self.forward()
        length = 0
        while self.peek(length) not in f"\0 \t,[]{{}}{_BREAKS}":
            length += 1
        if not length:
            raise yaml.scanner.ScannerError("while scanning an anchor or alias", start, "its name is missing", start)
        name = self.prefix(length)
        self.forward(length)
        return token(name, start, self.get_mark())

    def _blanks(self) -> str:
        found = 0
        while self.peek(found) in {" ", "\t"}:
            found += 1
        return str(self.prefix(found))
