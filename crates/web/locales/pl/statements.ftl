# Rozliczenia, powiadomienia i anomalie.
