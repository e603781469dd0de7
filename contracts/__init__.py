"""The single definition of the stack's events, shared by the services, the simulators and the tests."""
