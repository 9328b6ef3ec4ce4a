"""Message and service classes, made on import from interface definitions."""
