"""What is measured beside the services: the usual way and the limit."""
