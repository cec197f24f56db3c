"""What providers of remote forges share."""
