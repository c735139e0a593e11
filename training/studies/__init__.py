"""The studies: NAME.py says what is measured and shown, NAME.toml which runs there are."""
