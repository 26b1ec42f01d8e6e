"""A decoder of the heading that knows all of a session's truth but what happened: the posterior mean, by particles."""
