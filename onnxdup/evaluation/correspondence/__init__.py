"""Two networks laid side by side: which layers correspond, which of their channels do, and their filters
or activations in a common order of columns.
"""
