"""The one table: methods of face editing beside each other on the same photographs."""
