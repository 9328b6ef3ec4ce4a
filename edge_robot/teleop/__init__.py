"""The dashboard's server and its page."""
