# Rozliczenia, powiadomienia i anomalie.

statements-title = Rozliczenie { $value }
statements-draft-title = Projekt rozliczenia, { $value }
statements-draft = projekt
statements-draft-notice = To jest projekt. Jest liczony od nowa przy każdym otwarciu i może się zmienić do chwili wystawienia. Organizacja go nie widzi.
statements-drafts = Projekty
statements-drafts-text = Obliczone z bieżącego zużycia, listy użytkowników i kursów. Mogą się zmienić, a organizacja ich nie widzi.
statements-issued-title = Wystawione rozliczenia
statements-empty = Nie wystawiono jeszcze rozliczenia. Po zakończeniu miesiąca wystawi je sprzedawca i pojawi się tutaj wraz z plikami.
statements-empty-reseller = Nie wystawiono jeszcze rozliczenia. Zamknij miesiąc na stronie rozliczeń sprzedawcy, a pojawi się tutaj wraz z plikami.
statements-empty-usage = Brak zużycia w tym miesiącu.
statements-empty-month = Żadna organizacja nie pasuje. Wyczyść wyszukiwanie lub najpierw utwórz organizację.
statements-number = Numer
statements-period = Okres
statements-issued-on = Data wystawienia
statements-facts = Dane rozliczenia
statements-totals = Podsumowanie
statements-usage = Zużycie
statements-seats = Subskrypcja
statements-seat-price = Cena za cały miesiąc
statements-corrections = Korekty
statements-corrections-text = Zmiany w poprzednich miesiącach po wystawieniu ich rozliczeń, po kursach tamtych rozliczeń.
statements-net = Netto
statements-with-seats = w{"\u00A0"}tym{"\u00A0"}subskrypcja { $value }
statements-vat = VAT
statements-gross = Brutto
statements-vat-of = VAT { $value }%
statements-vat-none = Nie podlega VAT
statements-vat-own = Stawka
statements-vat-default = Jak dla wszystkich organizacji
statements-vat-default-of = VAT { $value }%, jak dla wszystkich organizacji
statements-vat-percent = Stawka VAT w procentach
statements-vat-note = Adnotacja o VAT
statements-vat-note-hint = Wymagana, gdy VAT nie jest naliczany: podstawa prawna. Widnieje na rozliczeniach.
statements-evidence = Tabela NBP
statements-table = { $table } z{"\u00A0"}{ $day }
statements-pdf-hash = SHA-256 pliku PDF w chwili wystawienia:
statements-document-hash = SHA-256 zapisanego dokumentu:
statements-no-invoice = Rozliczenie nie jest fakturą VAT.
statements-seller = Sprzedawca
statements-seller-name = Nazwa sprzedawcy
statements-seller-text = Dane sprzedawcy na rozliczeniach. Zmiana dotyczy rozliczeń jeszcze niewystawionych.
statements-seller-incomplete = Niczego nie można wystawić, dopóki poniżej nie podano nazwy, adresu i numeru NIP sprzedawcy.
statements-seller-saved = Zapisano dane sprzedawcy.
statements-buyer = Nabywca
statements-buyer-text = Dane organizacji na rozliczeniach. Zmiana dotyczy rozliczeń jeszcze niewystawionych.
statements-buyer-read-only = Dane organizacji na rozliczeniach. Może je zmienić tylko sprzedawca.
statements-buyer-saved = Zapisano dane nabywcy.
statements-legal-name = Pełna nazwa
statements-legal-name-hint = Puste: nazwa organizacji
statements-address = Adres
statements-tax-id = NIP
statements-pdf-language = Język PDF
statements-numbering = Numeracja od nowa
statements-monthly = Co miesiąc: 2026/11/0001
statements-yearly = Co rok: 2026/0001
statements-unfit-name = Nazwa musi mieć od 1 do 200 znaków, bez znaków sterujących.
statements-unfit-address = Adres musi mieć od 1 do 400 znaków.
statements-unfit-tax-id = NIP musi mieć od 1 do 40 znaków.
statements-unfit-vat = Podaj stawkę VAT w procentach od 0 do 100, najwyżej z dwoma miejscami po przecinku, na przykład 23.
statements-unfit-note = Podaj podstawę nienaliczania VAT, najwyżej 400 znaków.
statements-state = Stan
statements-issued = wystawione
statements-new = przed chwilą
statements-ready = gotowe do wystawienia
statements-held = wstrzymane
statements-nothing = brak pozycji
statements-failed = błąd
statements-held-month = Miesiąc jeszcze trwa.
statements-held-rate = Nie wiadomo jeszcze, która tabela NBP jest właściwa.
statements-held-seller = Brakuje nazwy, adresu lub numeru NIP sprzedawcy.
statements-unbilled = Zużycie bez rozliczenia: { $value }
statements-close = Zamknij miesiąc { $value }
statements-close-title = Wystawić rozliczenia za { $month }: { $whose }?
statements-close-text = Rozliczenia, których nic nie wstrzymuje, zostaną wystawione i otrzymają numery. Wystawionego rozliczenia nie można zmienić ani cofnąć; późniejsze zmiany trafią jako korekty do następnego.
statements-issue = Wystaw
statements-result = Wynik: { $value }
statements-to-month = Wróć do miesiąca
statements-issued-count = { $n ->
    [one] Wystawiono { $shown } rozliczenie.
    [few] Wystawiono { $shown } rozliczenia.
   *[other] Wystawiono { $shown } rozliczeń.
}
statements-pending = { $n ->
    [one] { $shown } generacja czeka na koszt
    [few] { $shown } generacje czekają na koszt
   *[other] { $shown } generacji czeka na koszt
}
statements-sum-without = { $n ->
    [one] PLN bez { $shown } organizacji, której kurs nie jest jeszcze pewny
   *[other] PLN bez { $shown } organizacji, których kurs nie jest jeszcze pewny
}

alerts-views = Części powiadomień
alerts-destinations = Odbiorcy
alerts-destination = Odbiorca
alerts-raised = Zgłoszone
alerts-deliveries = Wysyłki
alerts-anomalies = Anomalie
alerts-limits = Limity
alerts-all = Wszystkie
alerts-only-new = Niepotwierdzone
alerts-what = Powiadomienie
alerts-when = Zgłoszono
alerts-state = Stan
alerts-kinds = Rodzaje powiadomień
alerts-channel = Kanał
alerts-webhook = Webhook
alerts-target = Adres URL lub e-mail
alerts-target-hint = Webhook wymaga adresu https dostępnego publicznie.
alerts-language = Język wiadomości
alerts-of-nothing = żadne
alerts-new = Nowy odbiorca
alerts-new-text = Otrzyma powiadomienia o wykorzystaniu limitów i o nietypowych dniach.
alerts-new-of-all = Otrzyma powiadomienia o wszystkich organizacjach. Odbiorców jednej organizacji dodaje się na jej stronie.
alerts-all-organizations = Wszystkie organizacje
alerts-add = Dodaj
alerts-edit = Ustawienia
alerts-id = Identyfikator
alerts-created = Utworzono
alerts-updated = Zmieniono
alerts-gone-at = Odbiorca niedostępny od
alerts-previous-until = Poprzedni sekret podpisuje do
alerts-active = aktywny
alerts-gone = odbiorca niedostępny
alerts-held = czeka na serwer poczty
alerts-no-mail = Nie skonfigurowano serwera poczty (MAI_SMTP_URL). Wiadomości czekają i zostaną wysłane, gdy się pojawi.
alerts-waiting = oczekuje
alerts-delivered = dostarczono
alerts-failed = nieudana
alerts-only-waiting = Oczekujące
alerts-only-delivered = Dostarczone
alerts-only-failed = Nieudane
alerts-made = Dodano odbiorcę.
alerts-removed = Usunięto odbiorcę.
alerts-saved = Zapisano odbiorcę.
alerts-switched-on = Odbiorca jest aktywny.
alerts-switched-off = Odbiorca jest nieaktywny. Oczekujące wysyłki czekają nadal.
alerts-switch-on = Włącz
alerts-switch-off = Wyłącz
alerts-remove = Usuń
alerts-remove-title = Usunąć odbiorcę { $value }?
alerts-remove-text = Nic więcej nie zostanie tam wysłane, a oczekujące wysyłki przepadną wraz z sekretem. Tego nie można cofnąć.
alerts-secret-title = Sekret podpisu: { $value }
alerts-secret-text = Jest pokazywany tylko teraz. Zapisz go tam, gdzie odbiorca sprawdza podpisy.
alerts-rotate-title = Sekret podpisu
alerts-rotate-text = Nowy sekret zostanie pokazany raz. Przez wybrany czas podpisuje także poprzedni.
alerts-rotate = Wymień sekret
alerts-rotated = Wymieniono sekret.
alerts-grace = Poprzedni sekret podpisuje jeszcze przez
alerts-grace-day = 1 dzień
alerts-grace-week = 7 dni
alerts-grace-month = 30 dni
alerts-grace-none = wcale: traci ważność od razu
alerts-test = Próba
alerts-test-title = Wyślij próbę
alerts-test-text = Jedna próba teraz. Strona pokaże wynik.
alerts-test-about = Dotyczy organizacji
alerts-test-send = Wyślij próbę
alerts-test-delivered = Próba została dostarczona.
alerts-test-failed = Próba nie została dostarczona: { $value }
alerts-again-title = Wyślij ponownie nieudane
alerts-again-text = Odbiorca otrzyma te same identyfikatory i tę samą treść.
alerts-since = Zgłoszone od
alerts-send-again = Wyślij ponownie
alerts-replayed = Zostanie zaraz wysłane ponownie.
alerts-replayed-count = { $n ->
    [one] { $shown } wysyłka zostanie zaraz ponowiona.
    [few] { $shown } wysyłki zostaną zaraz ponowione.
   *[other] { $shown } wysyłek zostanie zaraz ponowionych.
}
alerts-not-now = Teraz nie można tego zrobić: ostatnia próba była mniej niż minutę temu, odbiorca jest nieaktywny albo w ciągu godziny było zbyt wiele prób lub ponowień.
alerts-too-many = Jest już 100 odbiorców. Najpierw usuń jednego.
alerts-unfit-target = To nie może być odbiorca. Webhook wymaga publicznego adresu https bez hasła, a poczta adresu e-mail.
alerts-unfit-name = Nazwa musi mieć od 1 do 200 znaków, bez znaków sterujących.
alerts-attempts = Próby
alerts-last-attempt = ostatnia { $value }
alerts-next = następna próba { $value }
alerts-destination-gone = usunięty
alerts-only-to = Do: { $value }
alerts-whole-organization = Organizacja
alerts-limit-reached = Osiągnięto { $value }% limitu miesięcznego
alerts-of-limit = { $value } z { $bound }
alerts-unusual-spend = Nietypowy koszt
alerts-unusual-requests = Nietypowa liczba żądań
alerts-above = { $value }, powyżej { $bound }
alerts-empty-destinations = Nikt jeszcze nie jest powiadamiany. Dodaj poniżej webhook lub adres e-mail.
alerts-empty-raised = Nie było jeszcze powiadomień. Pojawią się po wykorzystaniu połowy limitu lub gdy dzień będzie nietypowy.
alerts-empty-deliveries = Niczego nie wysłano. Wysyłki pojawią się, gdy powstanie powiadomienie, którego chce któryś z odbiorców.
alerts-empty-anomalies = Nie ma takich dni. Wybierz powyżej inne dni.
alerts-anomalies-text = Dni, w których użytkownik lub model znacznie odbiega od swojej historii.
alerts-anomalies-count = { $n ->
    [one] { $shown } anomalia
    [few] { $shown } anomalie
   *[other] { $shown } anomalii
}
alerts-subject = Użytkownik lub model
alerts-usual = Zwykle
alerts-threshold = nietypowe od { $value }
alerts-history = { $n ->
    [one] na podstawie { $shown } dnia aktywności
   *[other] na podstawie { $shown } dni aktywności
}
alerts-known = Potwierdzona
alerts-acknowledge = Potwierdź
alerts-acknowledged = Potwierdzono anomalię.
alerts-note = Uwaga, może być pusta
alerts-unfit-note = Uwaga może mieć najwyżej 300 znaków.
alerts-name = Nazwa
