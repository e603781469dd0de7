"""Shared by all Python services: Kafka clients, health, metrics, settings, logging, signals. Events are in contracts/."""
