"""Profiles and behaviour as Feast knows them: entities, views and the service, from the declarations. Offline only."""
