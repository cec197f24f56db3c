"""Log lines on pages: as HTML, filtered, and as a file."""
