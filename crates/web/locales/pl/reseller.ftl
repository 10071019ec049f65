# Strony sprzedawcy.
