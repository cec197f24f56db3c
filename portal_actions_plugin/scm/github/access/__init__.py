"""What calls to GitHub carry: a token, or one of an App's installation."""
