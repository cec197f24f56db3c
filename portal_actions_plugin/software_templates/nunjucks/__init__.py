"""Backstage's template language: Nunjucks as its engine evaluates it, with JavaScript's truth, numbers and texts."""
