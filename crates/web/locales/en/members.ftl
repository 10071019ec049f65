# Members, and an organization and its settings.
