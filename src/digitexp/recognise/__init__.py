"""A trained network at work: digits in static images, a submission, drawings."""
