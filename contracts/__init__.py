"""The events of the stack, once: what the services, the simulators and the tests agree on."""
