"""What networks are trained by: contrasts, domains, hidden entries, and the weights that join several losses."""
