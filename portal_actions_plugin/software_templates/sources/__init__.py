"""How documents come in: files of folders, what they name, and what their placeholders stand for."""
