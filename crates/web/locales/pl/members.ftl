# Członkowie, organizacja i jej ustawienia.
