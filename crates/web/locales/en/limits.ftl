# Limits and keys.
