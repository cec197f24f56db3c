"""The service ${{ values.name }}."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer

NAME = "${{ values.name }}"


def answer(path: str) -> tuple[int, str]:
    """What is said to a path."""
    if path == "/healthz":
        return 200, f"{NAME} is well\n"
    return 404, f"{NAME} has nothing at {path}\n"


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    def do_GET(self) -> None:
        """Answer one request."""
        status, text = answer(self.path)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    HTTPServer(("", 8080), Handler).serve_forever()
