"""Where the contents of workspaces are kept: a folder, a bucket, or PostgreSQL."""
