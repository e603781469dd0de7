"""What is measured beside the services: a baseline and the limit."""
