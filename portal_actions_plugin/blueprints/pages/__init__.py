"""The pages: their routes, and what they show in words."""
