"""Which frames to upload: accuracy by their share, for our policy and others."""
