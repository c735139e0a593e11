"""Reports: a frozen, versioned schema first, then pure functions from it to text, JSON, Markdown, JUnit and
GitHub.
"""
