# Limity i klucze.
