"""From a camera image to boxes: our engines beside the pipelines that everybody writes."""
