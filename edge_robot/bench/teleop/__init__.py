"""The dashboard over bad links, with bad clients and with rivals."""
