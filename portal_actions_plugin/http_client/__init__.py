"""How ``http.request@v1`` calls: where it may connect to, one exchange with its redirects, and what is kept of an answer."""
