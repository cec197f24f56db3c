"""What a repository at GitHub is set up with: webhooks, protection, people, topics, variables and secrets of its CI."""
