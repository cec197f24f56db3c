"""What ``http.request@v1`` does: one call, what its answer means, and what is kept of it."""
