"""Writes the result topic and the users topic to S3, where the Aiven S3 sink connector is not available."""
