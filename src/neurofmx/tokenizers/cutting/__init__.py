"""From a recording to windows: cut, split, scaled, joined to a montage."""
