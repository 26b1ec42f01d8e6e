"""Numbers that describe answers and states, and tests of one model against another over datasets."""
