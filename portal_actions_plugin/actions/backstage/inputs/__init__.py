"""What the larger inputs of Backstage's actions say, by their names at home."""
