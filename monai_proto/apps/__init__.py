"""Programs: what a person starts."""
